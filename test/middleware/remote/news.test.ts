/** A function that is to be told of the service, and fails itself: the guard goes on hearing, and the console is told. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { openResourceServer } from '../../../src/middleware/resource-server.ts';
import { until } from '../../support/until.ts';
import {
  answerEvents,
  answerJson,
  answerText,
  makeKey,
  snapshot,
  startScriptedService,
} from './scripted-service.ts';

test.each<[string, (message: string) => void]>([
  [
    'throws',
    () => {
      throw new Error('the log is full');
    },
  ],
  [
    'rejects',
    async () => {
      throw new Error('the log is full');
    },
  ],
])('a `warn` that %s ends nothing', async (_, fail) => {
  const rejections: unknown[] = [];
  const hear = (reason: unknown) => void rejections.push(reason);
  process.on('unhandledRejection', hear);
  const console = vi.spyOn(globalThis.console, 'warn').mockImplementation(() => undefined);
  const key = makeKey('first');
  const service = await startScriptedService(key);
  onTestFinished(async () => {
    process.off('unhandledRejection', hear);
    console.mockRestore();
    await service.close();
  });
  service.answers['/.well-known/jwks.json'] = answerText('{}', 503);
  service.answers['/oauth/revocations'] = answerText('{}', 503);
  const warn = vi.fn(fail);
  const guard = openResourceServer({ issuer: service.url, audience: service.url, apiKey: 'a key', warn });
  onTestFinished(() => guard.close());
  await until('the console is told', () => console.mock.calls.length === 2);
  service.answers['/.well-known/jwks.json'] = answerJson({ keys: [key.jwk] });
  service.answers['/oauth/revocations'] = answerEvents(snapshot());
  await guard.ready();
  await until('the console is told', () => console.mock.calls.length === 4);
  expect(warn).toHaveBeenCalledTimes(4);
  for (const [index, [message]] of warn.mock.calls.entries())
    expect(console.mock.calls[index]).toEqual([`${message} (which \`warn\` was not told: the log is full)`]);
  expect(rejections).toEqual([]);
});
