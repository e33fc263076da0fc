/** A headless browser with one page of each kind of origin, and what script on them can read of an answer. */
import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Browser, chromium, type Frame } from 'playwright-core';

/** `sandbox` and `data` are of the origin `null`. */
export const pageKinds = ['listed', 'other', 'sandbox', 'data'] as const;
export type PageKind = (typeof pageKinds)[number];

export interface PageRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly mode: 'cors' | 'no-cors';
  readonly credentials: 'omit' | 'include';
}

export interface Readable {
  readonly status: number;
  readonly body: string;
  /** Names of the headers that the page sees. */
  readonly headers: readonly string[];
}

export interface BrowserPages {
  /** Of the page of this kind. */
  readonly origins: { readonly listed: string; readonly other: string };
  /** Resolves with what the page could read; undefined where the browser let it read nothing. */
  fetchFrom(kind: PageKind, request: PageRequest): Promise<Readable | undefined>;
  stop(): Promise<void>;
}

/** The first of these that this machine has. */
export function findBrowser(): string | undefined {
  const names = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
  const places = (process.env['PATH'] ?? '').split(path.delimiter);
  return names.flatMap(name => places.map(place => path.join(place, name))).find(isExecutable);
}

export async function openPages(executablePath: string): Promise<BrowserPages> {
  const server = createServer((_, res) => {
    res.setHeader('Content-Type', 'text/html');
    res.end('<!doctype html><title>A page</title>');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origins = { listed: `http://127.0.0.1:${port}`, other: `http://localhost:${port}` };
  const browser = await chromium.launch({
    executablePath,
    // Root cannot have the sandbox; and no rule on networks shall refuse what CORS is to refuse.
    args: ['--no-sandbox', '--disable-features=LocalNetworkAccessChecks'],
  });
  const frames: Record<PageKind, Frame> = {
    listed: await openFrame(browser, origins.listed),
    other: await openFrame(browser, origins.other),
    sandbox: await openSandbox(browser, origins.listed),
    data: await openFrame(browser, 'data:text/html,A page'),
  };
  return {
    origins,
    async fetchFrom(kind, request) {
      return frames[kind].evaluate<Readable | undefined>(`(${readAnswer})(${JSON.stringify(request)})`);
    },
    async stop() {
      await browser.close();
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** Runs on the page. */
const readAnswer = `async ({ url, ...request }) => {
  try {
    const answer = await fetch(url, { ...request, body: request.body ?? undefined, cache: 'no-store' });
    return { status: answer.status, body: await answer.text(), headers: [...answer.headers.keys()] };
  } catch {
    return undefined;
  }
}`;

async function openFrame(browser: Browser, url: string): Promise<Frame> {
  const page = await browser.newPage();
  await page.goto(url);
  return page.mainFrame();
}

async function openSandbox(browser: Browser, url: string): Promise<Frame> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.setContent(`<iframe sandbox="allow-scripts" src="${url}"></iframe>`);
  const frame = page.frames().find(one => one !== page.mainFrame());
  if (frame === undefined) throw new Error('the browser made no frame');
  await frame.waitForLoadState();
  return frame;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
