// A real Chromium, and what a test asks of every page that it opens.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const settings = JSON.parse(process.env.SHUTDOWN_PROBE_PAGE_TEST);
const installed = createRequire(`${settings.modules}/`);
const { chromium } = installed('playwright-core');
const axe = readFileSync(installed.resolve('axe-core/axe.min.js'), 'utf8');

export const { scenes, write } = settings;

const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
];

export const launch = () => chromium.launch({ executablePath: settings.chromium, args: ARGUMENTS });

/// Opens a page that may show no dialog, log no error and load nothing from elsewhere.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('dialog', (dialog) => { faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('status of 40')) {
      faults.push(`console: ${message.text()}`);
    }
  });
  page.on('request', (request) => {
    if (new URL(request.url()).hostname !== '127.0.0.1') faults.push(`loads ${request.url()}`);
  });
  return { page, faults, close: () => context.close() };
}

/// The serious and critical faults that axe finds. It is not let in by the page's own policy, so by the debugger.
export async function accessibilityFaults(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html) }));
}

/// How much wider the document is than what shows it.
export const overflow = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth - clientWidth;
});

/// Presses Tab until the focus is on what is looked for.
export async function tabTo(page, what, predicate) {
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(predicate)) {
      await assertFocusIsSeen(page, what);
      return;
    }
  }
  assert.fail(`the Tab key never reaches ${what}`);
}

async function assertFocusIsSeen(page, what) {
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, 'none', `nobody sees that ${what} has the focus`);
}
