// The page as people meet it. Scenes are served by the daemon's own HTTP server, filled by tests/page/main.rs.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { accessibilityFaults, launch, open, overflow, scenes, tabTo } from './browser.mjs';
import { behindPrefix } from './prefix.mjs';

/// What a page may weigh, its style and icon included, uncompressed.
const LIGHT = 100_000;
const SCHEMES = ['light', 'dark'];

const PAGES = {
  'nothing seen yet': scenes.empty.home,
  'home, without Kubernetes': scenes.story.home,
  'home, in Kubernetes': scenes.cluster.home,
  'home, 1,000 terminations': scenes.busy.home,
  'home, filtered': `${scenes.busy.home}?severed=true&cause=exited_without_drain&since=24h&page=2`,
  'home, nothing fits': `${scenes.story.home}?cause=grace_cut_short`,
  'home, a bad question': `${scenes.story.home}?since=yesterday`,
  'termination, standalone': scenes.story.one,
  'termination, a rollout': scenes.cluster.one,
  'termination, 1,000 connections': scenes.thousand.one,
  'termination, in progress': scenes.progress.one,
  'termination, hostile names': scenes.hostile.one,
  'home, hostile names': scenes.hostile.home,
  'no such termination': `${scenes.story.home}terminations/none`,
};

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

for (const [name, url] of Object.entries(PAGES)) {
  describe(name, () => {
    for (const colorScheme of SCHEMES) {
      it(`has no serious fault of accessibility, ${colorScheme}`, async () => {
        const { page, faults, close } = await open(browser, { colorScheme });
        await page.goto(url);
        const found = await accessibilityFaults(page);
        const grave = found.filter(({ impact }) => ['serious', 'critical'].includes(impact));
        assert.deepEqual(grave, []);
        for (const { id, impact } of found) console.log(`axe, ${impact}: ${id}`);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const [red] = ground.match(/\d+/g).map(Number);
        assert.equal(red > 128, colorScheme === 'light', `the ground is ${ground}`);
        assert.deepEqual(faults, []);
        await close();
      });
    }

    it('fits a narrow screen, without scripts', async () => {
      const { page, faults, close } = await open(browser, {
        viewport: { width: 320, height: 640 }, javaScriptEnabled: false,
      });
      await page.goto(url);
      assert.equal(await overflow(page), 0);
      assert.ok((await page.locator('h1').innerText()).length > 0);
      assert.deepEqual(faults, []);
      await close();
    });

    it('has a structure to find one\'s way by', async () => {
      const { page, close } = await open(browser);
      await page.goto(url);
      assert.equal(await page.locator('h1').count(), 1);
      const levels = await page.locator('h1, h2, h3').evaluateAll((all) => all.map((it) => it.tagName));
      assert.equal(levels[0], 'H1');
      assert.equal(await page.locator('main').count(), 1);
      const ids = await page.locator('[id]').evaluateAll((all) => all.map((it) => it.id));
      assert.equal(new Set(ids).size, ids.length, 'an id twice');
      await close();
    });
  });
}

describe('by keyboard alone', () => {
  it('leads from home over a filter to a termination and its JSON', async () => {
    const { page, faults, close } = await open(browser, { javaScriptEnabled: false });
    await page.goto(scenes.story.home);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');

    await tabTo(page, 'the field Cause', () => document.activeElement.name === 'cause');
    await page.keyboard.type('exited without drain');
    await tabTo(page, 'the button', () => document.activeElement.type === 'submit');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    assert.equal(new URL(page.url()).searchParams.get('cause'), 'exited_without_drain');

    await tabTo(page, 'a termination', () => document.activeElement.getAttribute('href')?.startsWith('terminations/'));
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    assert.match(await page.locator('.verdict').innerText(), /^Severed \d+ connections?/);
    const copied = JSON.parse(await page.locator('textarea').inputValue());

    await tabTo(page, 'the JSON', () => document.activeElement.getAttribute('href')?.includes('api/v1/terminations/'));
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    const json = JSON.parse(await page.evaluate(() => document.body.innerText));
    assert.equal(json.cause, 'exited_without_drain');
    assert.equal(json.id, copied.id);
    assert.deepEqual(faults, []);
    await close();
  });

  it('turns the pages of the list', async () => {
    const { page, close } = await open(browser, { javaScriptEnabled: false });
    await page.goto(scenes.busy.home);
    const first = () => page.locator('section[aria-labelledby="terminations"] tbody a').first().getAttribute('href');
    const newest = await first();
    await tabTo(page, 'Older', () => document.activeElement.rel === 'next');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    assert.notEqual(await first(), newest);
    assert.match(await page.locator('.pager').innerText(), /Page 2 of 40, 1000 terminations/);
    await close();
  });
});

describe('what is told', () => {
  it('is the same in picture, text and API', async () => {
    const { page, close } = await open(browser);
    for (const { one, api } of [scenes.story, scenes.cluster, scenes.thousand]) {
      const report = await (await page.request.get(api)).json();
      await page.goto(one);
      const picture = await page.locator('svg.timeline desc').textContent();
      const table = await page.locator('section[aria-labelledby="losses"] tbody').innerText();
      for (const [fate, total] of Object.entries(report.connections_by_fate)) {
        if (fate === 'outbound_closed') continue;
        const said = fate.replaceAll('_', ' ');
        assert.ok(picture.includes(`${total} × ${said}`), `${said} in the picture: ${picture}`);
        assert.match(table.replaceAll('\t', ' '), new RegExp(`${total}\\s+${said}`));
      }
      for (const advice of report.advice) {
        assert.ok((await page.locator('.change').innerText()).includes(advice));
      }
      const happened = await page.locator('section[aria-labelledby="timeline"] tbody').innerText();
      for (const { event, text } of report.timeline) {
        if (event !== 'severed') assert.ok(happened.includes(text), `${text} in the timeline`);
      }
    }
    await close();
  });

  it('counts every connection of a thousand in the bars or the number beside them', async () => {
    const { page, close } = await open(browser);
    await page.goto(scenes.thousand.one);
    const bars = await page.locator('svg.timeline rect.bar').count();
    assert.ok(bars > 0 && bars < 100, `${bars} bars`);
    const lanes = await page.locator('svg.timeline text.lane').allTextContents();
    const report = await (await page.request.get(scenes.thousand.api)).json();
    const total = lanes.filter((lane) => !lane.includes('late')).reduce((sum, lane) => sum + parseInt(lane, 10), 0);
    assert.equal(total, Object.values(report.connections_by_fate).reduce((sum, count) => sum + count, 0));
    assert.ok(total >= 1_000, `${total} connections`);
    await close();
  });

  it('is text, whatever a name contains', async () => {
    const { page, faults, close } = await open(browser);
    for (const url of [scenes.hostile.home, scenes.hostile.one]) {
      await page.goto(url);
      assert.equal(await page.locator('script, img, iframe, object, base, style').count(), 0);
      const handlers = await page.locator('*').evaluateAll((all) =>
        all.flatMap((it) => [...it.attributes]).filter(({ name }) => name.startsWith('on')).map(({ name }) => name));
      assert.deepEqual(handlers, []);
      assert.ok((await page.locator('main').innerText()).includes('<script>alert(1)</script>'));
    }
    assert.deepEqual(faults, []);
    await close();
  });
});

describe('behind a proxy that adds a path', () => {
  it('finds its style, its pages and its API', async () => {
    const proxy = await behindPrefix(scenes.story.home, '/api/v1/namespaces/x/pods/y:metrics/proxy/');
    const { page, faults, close } = await open(browser);
    await page.goto(proxy.url);
    await page.locator('section[aria-labelledby="terminations"] tbody a').first().click();
    const width = await page.locator('main').evaluate((it) => getComputedStyle(it).maxWidth);
    assert.notEqual(width, 'none', 'the style was not found');
    await page.getByRole('link', { name: 'The whole report as JSON' }).click();
    assert.ok(JSON.parse(await page.evaluate(() => document.body.innerText)).id);
    await page.goBack();
    await page.getByRole('link', { name: 'All terminations' }).click();
    await page.getByRole('button', { name: 'Filter' }).click();
    assert.ok(page.url().startsWith(proxy.url), page.url());
    assert.deepEqual(proxy.strays, []);
    assert.deepEqual(faults, []);
    await close();
    proxy.close();
  });
});

/// The middle of the numbers, and their ends.
function spread(numbers) {
  const [least, middle, most] = [0, numbers.length >> 1, numbers.length - 1]
    .map((place) => [...numbers].sort((a, b) => a - b)[place].toFixed(0));
  return `${middle} ms (${least} to ${most})`;
}

const times = (page) => page.evaluate(() => new Promise((resolve) => {
  const look = () => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
    const [{ responseEnd: answered }] = performance.getEntriesByType('navigation');
    if (paint) resolve({ answered, paint }); else setTimeout(look, 5);
  };
  look();
}));

describe('weight and speed', () => {
  for (const [name, url] of [
    ['home, 1,000 terminations', scenes.busy.home],
    ['termination, 1,000 connections', scenes.thousand.one],
  ]) {
    it(name, async () => {
      const { page, close } = await open(browser);
      const answers = [];
      page.on('response', (response) => answers.push(response));
      await page.goto(url, { waitUntil: 'networkidle' });
      const bodies = await Promise.all(answers.map((answer) => answer.body()));
      const weight = bodies.reduce((sum, body) => sum + body.length, 0);
      const first = await times(page);
      const loads = [];
      for (let load = 0; load < 9; load++) {
        await page.goto(url);
        loads.push(await times(page));
      }
      await close();
      console.log(`${name}: ${weight} bytes; answered after ${spread(loads.map(({ answered }) => answered))}, `
        + `first paint after ${spread(loads.map(({ paint }) => paint))}, in a new tab ${first.paint.toFixed(0)} ms`);
      assert.ok(weight > 5_000 && weight < LIGHT, `${weight} bytes`);
    });
  }
});
