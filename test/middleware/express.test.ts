/** What becomes of a call under a guard of Express where somebody else has answered it, or what is called next fails. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createGuard, type ExpressGuard } from '../../src/middleware/express.ts';
import { connections } from './remote/guarded.ts';
import { type ScriptedService, startScriptedService } from './remote/scripted-service.ts';

let service: ScriptedService;
let guard: ExpressGuard;
let rejections: unknown[];
beforeEach(async () => {
  service = await startScriptedService();
  guard = createGuard({ issuer: service.url, audience: service.url, apiKey: 'a key' });
  await guard.ready();
  rejections = [];
  const hear = (reason: unknown) => void rejections.push(reason);
  process.on('unhandledRejection', hear);
  return async () => {
    process.off('unhandledRejection', hear);
    guard.close();
    await service.close();
  };
});

describe('a refusal', () => {
  test('of a call that was answered meanwhile is no answer any more, and lets nobody in', async () => {
    const next = vi.fn();
    const mayRead = guard(connections);
    const url = await serve((req, res) => {
      mayRead(req, res, next);
      if (req.url === '/late') res.end('too late');
    });
    expect(await (await fetch(`${url}/late`)).text()).toBe('too late');
    // Decided after the other one.
    expect((await fetch(url)).status).toBe(401);
    expect(next.mock.calls).toEqual([]);
    expect(rejections).toEqual([]);
  });
});

describe('a fault of the guard', () => {
  test.each<[string, unknown]>([
    ['an error', new TypeError('no headers')],
    ['nothing', undefined],
    ['the word by which Express goes on', 'route'],
  ])('that is %s goes on as an error, once', async (_, fault) => {
    const next = vi.fn();
    const mayRead = guard(connections);
    const url = await serve((req, res) => {
      Object.defineProperty(req, 'headersDistinct', {
        get() {
          throw fault;
        },
      });
      mayRead(req, res, error => {
        next(error);
        res.end();
      });
    });
    await fetch(url);
    expect(next.mock.calls).toEqual([[expect.any(Error)]]);
    const [given] = next.mock.calls[0] as [Error];
    expect(fault instanceof Error ? given : given.cause).toBe(fault);
    expect(rejections).toEqual([]);
  });
});

describe('what is called next', () => {
  const told = () => {
    const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => spy.mockRestore());
    return spy;
  };
  const letIn = (url: string) => fetch(url, { headers: { authorization: `Bearer ${service.mint()}` } });
  const fault = new Error('the database is away');

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw fault;
      },
    ],
    ['rejects', () => Promise.reject(fault)],
  ])('and %s, is called no second time: the answer is 500, and the console is told', async (_, fail) => {
    const console = told();
    const next = vi.fn(fail);
    const mayRead = guard(connections);
    const url = await serve((req, res) => mayRead(req, res, next));
    expect((await letIn(url)).status).toBe(500);
    expect(next.mock.calls).toEqual([[]]);
    expect(console.mock.calls).toEqual([[expect.stringContaining('behind the guard'), fault]]);
    expect(rejections).toEqual([]);
  });

  test('and throws when it has said what its answer will be, leaves nothing of that in the 500', async () => {
    told();
    const mayRead = guard(connections);
    const url = await serve((req, res) =>
      mayRead(req, res, () => {
        res.setHeader('Content-Length', 100);
        res.setHeader('Cache-Control', 'public, max-age=3600');
        res.setHeader('Set-Cookie', 'a=b');
        throw fault;
      }),
    );
    const response = await letIn(url);
    expect([response.status, await response.text()]).toEqual([500, '']);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.has('set-cookie')).toBe(false);
  });

  test('and throws in the middle of its answer, leaves none that looks whole', async () => {
    const console = told();
    const mayRead = guard(connections);
    const url = await serve((req, res) =>
      mayRead(req, res, () => {
        res.write('half');
        throw fault;
      }),
    );
    await expect(letIn(url).then(response => response.text())).rejects.toThrow(TypeError);
    expect(console).toHaveBeenCalledTimes(1);
    expect(rejections).toEqual([]);
  });

  test('and throws in Express, is heard by its error handlers', async () => {
    const console = told();
    const heard: unknown[] = [];
    const app = express().get('/', guard(connections), () => {
      throw fault;
    });
    app.use(((error, _req, res, next) => {
      heard.push(error);
      if (res.headersSent) next(error);
      else res.status(502).end();
    }) satisfies express.ErrorRequestHandler);
    const url = await serve(app);
    expect((await letIn(url)).status).toBe(502);
    expect(heard).toEqual([fault]);
    expect(console).not.toHaveBeenCalled();
  });
});

/** @returns where it listens until the test is over */
async function serve(answer: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<string> {
  const server = createServer((req, res) => void answer(req, res));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
