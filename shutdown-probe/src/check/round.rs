//! One life of the service, from its start to what its end cost.

use super::discover::{self, Service};
use super::kubelet::{Moments, Scene};
use super::load::{Cost, Crowd, Exchange, learn};
use super::observer::Observer;
use super::options::Plan;
use super::progress::Progress;
use super::runtime::{self, Runtime};
use super::sandbox::{Container, Ground};
use super::user_load::UserLoad;
use crate::exit::{Exit, Failure, OrExit};
use shutdown_probe_core::report::Termination;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the load runs before the service is stopped.
const WARM_UP: Duration = Duration::from_millis(400);
/// A load that somebody else wrote has to start first.
const USER_WARM_UP: Duration = Duration::from_secs(2);
/// How long it may take until it connects.
const USER_PATIENCE: Duration = Duration::from_secs(20);
/// New connections a second, where nobody says otherwise.
const RATE: f64 = 20.0;
/// How long clients may take to notice that all is over.
const NOTICE: Duration = Duration::from_secs(1);

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Round {
    /// Where the service took requests.
    pub service: Service,
    /// What runs it.
    pub runtime: Runtime,
    /// What a request cost; unknown with a load that somebody else wrote.
    pub cost: Option<Cost>,
    /// What happened when.
    pub moments: Moments,
    /// What each client saw.
    pub exchanges: Vec<Exchange>,
    /// What the probe saw.
    pub termination: Option<Termination>,
    /// How the main process ended.
    pub status: Option<ExitStatus>,
}

/// Plays one run. `known`: an earlier one, from which its port and the cost of a request are known.
///
/// # Errors
/// [`Exit::NotMeasured`], with what the service did instead of serving.
pub async fn play(
    name: &str,
    plan: &Plan,
    ground: &Ground,
    observer: &Observer,
    progress: &Progress,
    known: Option<&Round>,
) -> Result<Round, Failure> {
    progress.say(&format!("{name}: starting {}", plan.command_line()));
    let container = Container::start(ground, name, plan)?;
    let service = discover::wait(&container, plan, known.map(|round| round.service.address.port())).await?;
    let runtime = runtime::recognise(&container, service.process, service.software.as_deref());
    progress.say(&format!("{name}: {} answers on {}", runtime.name(), service.address));
    let (cost, moments, exchanges) = match &plan.args.load_command {
        None => {
            let (cost, moments, exchanges) = under_own_load(
                name,
                plan,
                &container,
                &service,
                observer,
                progress,
                known.and_then(|round| round.cost),
            )
            .await?;
            (Some(cost), moments, exchanges)
        }
        Some(command) => {
            let load = UserLoad::start(ground, command, &service)?;
            progress.say(&format!("{name}: the load command runs"));
            wait_for_clients(&load, &service).await?;
            sleep(USER_WARM_UP).await;
            load.check()?;
            let unpublish = CancellationToken::new();
            let scene = Scene { plan, container: &container, name, observer, load: None, unpublish };
            let moments = scene.play().await.or_exit(Exit::NotMeasured, || "stopping the service")?;
            (None, moments, Vec::new())
        }
    };
    let termination = observer.complete(name).await;
    let status = container.status();
    Ok(Round { service, runtime, cost, moments, exchanges, termination, status })
}

/// Waits until the load has a connection: a service that nobody asks loses nothing, and proves nothing.
async fn wait_for_clients(load: &UserLoad, service: &Service) -> Result<(), Failure> {
    let until = Instant::now() + USER_PATIENCE;
    while !discover::has_client(service.process, service.address.port()) {
        load.check()?;
        if Instant::now() > until {
            let message = format!(
                "the load command made no connection to {} within {USER_PATIENCE:?}",
                service.address
            );
            return Err(Failure::new(Exit::NotMeasured, message));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// It answered once, and not again. Who ends takes its children with it before that shows in its own status.
async fn unusable(container: &Container, what: &str) -> Failure {
    let _ = timeout(NOTICE, container.ended()).await;
    let ended = match container.status() {
        Some(status) if status.success() => {
            "; its first process has ended, and a container ends with that: start the server in the foreground"
                .to_owned()
        }
        Some(status) => format!("; it has ended ({status})"),
        None => String::new(),
    };
    discover::failed(format!("{what}{ended}"), container)
}

async fn under_own_load(
    name: &str,
    plan: &Plan,
    container: &Container,
    service: &Service,
    observer: &Observer,
    progress: &Progress,
    known: Option<Cost>,
) -> Result<(Cost, Moments, Vec<Exchange>), Failure> {
    let args = &plan.args;
    let crowd = Crowd::new(service.address, &args.path, args.stream_path.as_deref(), &plan.headers);
    let wanted = usize::from(args.requests_in_flight);
    let cost = match known {
        Some(known) => known,
        None => match learn(service.address, &crowd.asking(), wanted).await {
            Ok(cost) => cost,
            Err(seen) => {
                let asked = format!("{wanted} x GET {} on {} at once", args.path, service.address);
                return Err(unusable(container, &format!("{asked}: {}", seen.in_words())).await);
            }
        },
    };
    crowd.order(|orders| orders.pools_ask = cost.leaves_time_to_think());
    let volley = cost.at_once.min(wanted);
    let unpublish = CancellationToken::new();
    let mut clients = JoinSet::new();
    for number in 0..volley {
        clients.spawn(crowd.clone().pooled(cost.keep_alive, number, volley));
    }
    if cost.keep_alive {
        (0..args.idle_connections).for_each(|_| drop(clients.spawn(crowd.clone().idle())));
    }
    (0..args.streams).for_each(|_| drop(clients.spawn(crowd.clone().stream())));
    let rate = args.requests_per_second.map_or_else(|| cost.affordable_rate(RATE), f64::from);
    clients.spawn(crowd.clone().arrivals(rate, unpublish.clone()));
    sleep(WARM_UP + cost.latency).await;

    let stop = shutdown_probe_core::signal::name(plan.signal);
    progress.say(&format!("{name}: {stop} follows, with {volley} requests in flight"));
    let scene = Scene { plan, container, name, observer, load: Some((&crowd, cost, volley)), unpublish };
    let moments = scene.play().await.or_exit(Exit::NotMeasured, || "stopping the service")?;
    let until = Instant::now() + NOTICE;
    while crowd.log().all().iter().any(|one| one.ended.is_none()) && Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
    }
    crowd.end();
    while clients.join_next().await.is_some() {}
    Ok((cost, moments, crowd.log().all()))
}
