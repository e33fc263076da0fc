/** Runs a container's health check here, against a server that answers `/readyz` as told. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

/**
 * The exit code of the check.
 *
 * @param command the check as an array; the port 8080 in it becomes that of the server
 * @param answer the status of `/readyz`; 'nobody' where no server listens
 */
export async function probe(command: unknown, answer: number | 'nobody'): Promise<number | null> {
  if (!isListOfWords(command)) throw new Error(`no list of words: ${JSON.stringify(command)}`);
  const server = createServer(({ url }, response) => {
    response.writeHead(url === '/readyz' && typeof answer === 'number' ? answer : 404).end();
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  if (answer === 'nobody') await close(server);
  const [program = '', ...args] = command.map(word => word.replace('8080', String(port)));
  const code = await exitCodeOf(program, args);
  if (answer !== 'nobody') await close(server);
  return code;
}

function isListOfWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(word => typeof word === 'string');
}

function exitCodeOf(program: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(program === 'node' ? process.execPath : program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('close', resolve);
  });
}

function close(server: ReturnType<typeof createServer>): Promise<void> {
  server.closeAllConnections();
  return new Promise(resolve => {
    server.close(() => resolve());
  });
}
