//! Grafana's model of a dashboard, as much of it as ours need: places, ids and defaults follow by themselves.

use crate::promql::{Window, growth, selector};
use serde_json::{Value, json};

/// The version of the model that these are written in; Grafana brings it up to its own.
const SCHEMA: u32 = 39;
/// How wide a dashboard is.
const WIDTH: u32 = 24;
const DATA_SOURCE: &str = "${datasource}";

/// A dashboard.
pub struct Dashboard {
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// What it shows when it is opened.
    pub from: &'static str,
    pub variables: Vec<Variable>,
    pub annotations: Vec<Annotation>,
    pub links: Vec<Link>,
    pub rows: Vec<Row>,
}

/// A choice that the reader has.
pub struct Variable {
    pub name: &'static str,
    pub label: &'static str,
    /// Which values there are.
    pub query: String,
}

/// Events that all panels show.
pub struct Annotation {
    pub name: &'static str,
    pub expression: String,
    pub title: &'static str,
}

/// A link at the top.
pub struct Link {
    pub title: &'static str,
    pub url: String,
}

/// Panels under one heading.
pub struct Row {
    pub title: &'static str,
    pub panels: Vec<Panel>,
}

/// A panel.
pub struct Panel {
    pub title: &'static str,
    pub description: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    pub width: u32,
    pub height: u32,
    pub queries: Vec<Query>,
    /// A length of time other than the dashboard's.
    pub from: Option<&'static str>,
    /// The shortest time between two points.
    pub interval: Option<&'static str>,
    pub links: Vec<Link>,
}

/// What a panel looks like.
pub enum Kind {
    /// One number; bad from one on, if `bad`.
    Stat { bad: bool },
    /// How many there were, in bars.
    Bars,
    /// A value over time.
    Lines,
    /// A distribution over time.
    Heatmap,
    /// A table of the labels, with a column for each query. `to`: where a row leads.
    Table { columns: &'static [&'static str], hidden: &'static [&'static str], to: Option<Link> },
    /// Text in Markdown, and no data.
    Text(String),
}

/// What a panel asks.
pub struct Query {
    pub expression: String,
    /// What a series is called.
    pub legend: &'static str,
}

impl Query {
    pub fn new(expression: String, legend: &'static str) -> Self {
        Self { expression, legend }
    }
}

impl Panel {
    pub fn new(title: &'static str, kind: Kind, unit: &'static str, queries: Vec<Query>) -> Self {
        let (width, height) = match kind {
            Kind::Stat { .. } => (4, 4),
            Kind::Text(_) => (24, 4),
            Kind::Table { .. } => (24, 10),
            Kind::Bars | Kind::Lines | Kind::Heatmap => (12, 8),
        };
        let description = "";
        Self {
            title,
            description,
            kind,
            unit,
            width,
            height,
            queries,
            from: None,
            interval: None,
            links: Vec::new(),
        }
    }

    pub fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    pub fn size(mut self, width: u32, height: u32) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    pub fn link(mut self, title: &'static str, url: String) -> Self {
        self.links.push(Link { title, url });
        self
    }

    /// Always so long, in steps of so long.
    pub fn always(mut self, from: &'static str, interval: &'static str) -> Self {
        (self.from, self.interval) = (Some(from), Some(interval));
        self
    }

    fn json(&self, id: u32, x: u32, y: u32) -> Value {
        let mut panel = json!({
            "id": id,
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "options": self.kind.options(),
            "links": self.links.iter().map(Link::json).collect::<Vec<_>>(),
        });
        if let Kind::Text(_) = self.kind {
            return panel;
        }
        panel["datasource"] = data_source();
        panel["fieldConfig"] = self.kind.field_config(self.unit);
        panel["targets"] =
            self.queries.iter().zip('A'..='Z').map(|(query, id)| self.target(query, id)).collect();
        if let Kind::Table { columns, hidden, .. } = &self.kind {
            panel["transformations"] = transformations(columns, hidden);
        }
        for (name, value) in [("timeFrom", self.from), ("interval", self.interval)] {
            if let Some(value) = value {
                panel[name] = value.into();
            }
        }
        panel
    }

    fn target(&self, query: &Query, id: char) -> Value {
        let instant = matches!(self.kind, Kind::Stat { .. } | Kind::Table { .. });
        let format = match self.kind {
            Kind::Table { .. } => "table",
            Kind::Heatmap => "heatmap",
            _ => "time_series",
        };
        json!({
            "refId": id.to_string(),
            "datasource": data_source(),
            "editorMode": "code",
            "expr": query.expression,
            "legendFormat": query.legend,
            "instant": instant,
            "range": !instant,
            "format": format,
        })
    }
}

impl Kind {
    fn plugin(&self) -> &'static str {
        match self {
            Self::Stat { .. } => "stat",
            Self::Bars | Self::Lines => "timeseries",
            Self::Heatmap => "heatmap",
            Self::Table { .. } => "table",
            Self::Text(_) => "text",
        }
    }

    fn options(&self) -> Value {
        match self {
            Self::Stat { .. } => json!({
                "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                "percentChangeColorMode": "standard", "showPercentChange": false, "textMode": "auto",
                "wideLayout": true,
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            Self::Bars => json!({
                "legend": {"calcs": ["sum"], "displayMode": "table", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Self::Lines => json!({
                "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom",
                           "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Self::Heatmap => json!({
                "calculate": false, "cellGap": 1, "showValue": "never",
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 32, "exponent": 0.5, "reverse": false,
                          "fill": "dark-orange"},
                "filterValues": {"le": 1e-9},
                "yAxis": {"axisPlacement": "left", "reverse": false},
                "rowsFrame": {"layout": "auto"},
                "legend": {"show": true},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "tooltip": {"mode": "single", "showColorScale": false, "yHistogram": false},
            }),
            Self::Table { .. } => json!({
                "showHeader": true, "cellHeight": "sm", "frameIndex": 0,
            }),
            Self::Text(content) => json!({"mode": "markdown", "content": content}),
        }
    }

    fn field_config(&self, unit: &str) -> Value {
        let mut defaults = json!({"unit": unit, "custom": {}});
        let mut overrides = json!([]);
        match self {
            Self::Stat { bad } => {
                let mut steps = vec![json!({"color": if *bad { "green" } else { "text" }, "value": null})];
                if *bad {
                    steps.push(json!({"color": "red", "value": 0.5}));
                }
                defaults["color"] = json!({"mode": "thresholds"});
                defaults["thresholds"] = json!({"mode": "absolute", "steps": steps});
                defaults["noValue"] = json!("no data");
            }
            Self::Bars => {
                defaults["custom"] = json!({"drawStyle": "bars", "barAlignment": -1, "fillOpacity": 80, "lineWidth": 0,
                                            "stacking": {"mode": "normal", "group": "A"}});
                defaults["decimals"] = json!(0);
                defaults["min"] = json!(0);
            }
            Self::Lines => defaults["min"] = json!(0),
            Self::Table { to, .. } => {
                defaults["custom"] =
                    json!({"align": "auto", "inspect": false, "cellOptions": {"type": "auto"}});
                let links = to.iter().map(|link| json!({"title": link.title, "url": link.url}));
                let links: Vec<Value> = links.collect();
                overrides = json!([{
                    "matcher": {"id": "byName", "options": "container"},
                    "properties": [{"id": "links", "value": links}],
                }]);
            }
            Self::Heatmap | Self::Text(_) => {}
        }
        json!({"defaults": defaults, "overrides": overrides})
    }
}

/// One row for each owner, with the columns of all queries.
fn transformations(columns: &[&str], hidden: &[&str]) -> Value {
    let name = |(column, id): (&&str, char)| (format!("Value #{id}"), json!(column));
    let mut renamed: serde_json::Map<String, Value> = columns.iter().zip('A'..='Z').map(name).collect();
    if let [only] = columns {
        renamed.insert("Value".into(), json!(only));
    }
    let excluded: serde_json::Map<String, Value> =
        hidden.iter().chain(&["Time"]).map(|name| ((*name).to_owned(), json!(true))).collect();
    let mut sort = json!({"id": "sortBy", "options": {"fields": {}, "sort": []}});
    if let Some(first) = columns.first() {
        sort["options"]["sort"] = json!([{"field": first, "desc": true}]);
    }
    json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": excluded, "indexByName": {}, "renameByName": renamed}},
        sort,
    ])
}

impl Dashboard {
    pub fn json(&self) -> Value {
        let mut panels = Vec::new();
        let (mut id, mut y) = (0, 0);
        let mut next = || {
            id += 1;
            id
        };
        for row in &self.rows {
            let place = json!({"x": 0, "y": y, "w": WIDTH, "h": 1});
            panels.push(json!({"id": next(), "type": "row", "title": row.title, "collapsed": false,
                               "gridPos": place, "panels": []}));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in &row.panels {
                if x + panel.width > WIDTH {
                    (x, y, height) = (0, y + height, 0);
                }
                panels.push(panel.json(next(), x, y));
                (x, height) = (x + panel.width, height.max(panel.height));
            }
            y += height;
        }
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["shutdown-probe"],
            "schemaVersion": SCHEMA,
            "editable": true,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.from, "to": "now"},
            "refresh": "1m",
            "fiscalYearStartMonth": 0,
            "annotations": {"list": self.annotations.iter().map(Annotation::json).collect::<Vec<_>>()},
            "templating": {"list": self.templating()},
            "links": self.links.iter().map(Link::json).collect::<Vec<_>>(),
            "panels": panels,
        })
    }

    fn templating(&self) -> Vec<Value> {
        let source = json!({
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "multi": false, "includeAll": false, "hide": 0, "refresh": 1, "regex": "", "options": [],
        });
        std::iter::once(source).chain(self.variables.iter().map(Variable::json)).collect()
    }
}

impl Variable {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "label": self.label, "type": "query", "datasource": data_source(),
            "query": {"query": self.query, "refId": format!("variable-{}", self.name)},
            // Whoever has none is among all: without Kubernetes there is no namespace.
            "multi": true, "includeAll": true, "allValue": ".*",
            "current": {"selected": true, "text": "All", "value": "$__all"},
            "hide": 0, "refresh": 2, "regex": "", "sort": 1, "options": [],
        })
    }
}

impl Annotation {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "datasource": data_source(), "enable": true, "hide": false, "iconColor": "blue",
            "target": {"refId": "Anno", "expr": self.expression, "interval": "1m"},
            "titleFormat": self.title, "textFormat": "", "tagKeys": "", "useValueForTime": false,
        })
    }
}

impl Link {
    fn json(&self) -> Value {
        json!({
            "title": self.title, "url": self.url, "type": "link", "icon": "external link", "tags": [], "tooltip": "",
            "asDropdown": false, "targetBlank": true, "includeVars": false, "keepTime": false,
        })
    }
}

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": DATA_SOURCE})
}

/// Of the workloads that the reader has chosen.
pub const CHOSEN: [(&str, &str, &str); 3] =
    [("namespace", "=~", "$namespace"), ("workload", "=~", "$workload"), ("container", "=~", "$container")];

/// A metric of these workloads, and with these matchers besides.
pub fn chosen(metric: &str, more: &[(&str, &str, &str)]) -> String {
    selector(metric, &[&CHOSEN[..], more].concat())
}

/// How much it has grown in all the time that is shown.
pub fn in_all(counter: &str, by: &[&str]) -> String {
    growth(counter, &Window::written("$__range", "$__range_s"), by)
}

/// How much it has grown from one point to the next: the bars add up to the whole.
pub fn in_steps(counter: &str, by: &[&str]) -> String {
    growth(counter, &Window::written("$__interval", "$__interval_ms / 1000"), by)
}

/// The choices of namespace, workload and container.
pub fn whose() -> Vec<Variable> {
    let metric = "shutdown_probe_severed_connections_total";
    let values =
        |label: &str, given: usize| format!("label_values({}, {label})", selector(metric, &CHOSEN[..given]));
    vec![
        Variable { name: "namespace", label: "Namespace", query: values("namespace", 0) },
        Variable { name: "workload", label: "Workload", query: values("workload", 1) },
        Variable { name: "container", label: "Container", query: values("container", 2) },
    ]
}

/// Rollouts of these workloads.
pub fn rollouts() -> Annotation {
    let counter = chosen("shutdown_probe_terminations_total", &[("trigger", "=", "rollout")]);
    let window = Window::written("1m", "60");
    let expression = growth(&counter, &window, &["namespace", "workload_kind", "workload"]) + " > 0";
    Annotation { name: "Rollouts", expression, title: "rollout of {{namespace}}/{{workload}}" }
}
