// The pictures in the documents: made on request, of the same scenes that are tested.

import { it } from 'node:test';
import { launch, open, scenes, write } from './browser.mjs';

const WIDE = { width: 1000, height: 900 };
const PICTURES = {
  'page-home': { url: scenes.cluster.home, viewport: WIDE },
  'page-termination': { url: scenes.cluster.one, viewport: { ...WIDE, height: 1180 } },
  'page-termination-dark': { url: scenes.story.one, viewport: { ...WIDE, height: 1000 }, colorScheme: 'dark' },
  'page-thousand': { url: scenes.thousand.one, viewport: WIDE, only: 'section[aria-labelledby="picture"]' },
  'page-narrow': { url: scenes.cluster.one, viewport: { width: 360, height: 760 } },
};

it('makes the pictures of the documents', async () => {
  const browser = await launch();
  for (const [name, { url, only, ...options }] of Object.entries(PICTURES)) {
    const { page, close } = await open(browser, options);
    await page.goto(url);
    await (only ? page.locator(only) : page).screenshot({ path: `${write}/${name}.png` });
    await close();
  }
  await browser.close();
});
