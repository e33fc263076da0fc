/** The frame of a process that serves what is measured: it says where, and how much of the processor it has used. */
import { createServer, type RequestListener } from 'node:http';
import type { Answer, Target } from './subjects.ts';

/** Serves until its parent says stop or is gone. */
export async function serveSubject(serve: () => Promise<Target>): Promise<void> {
  process.once('disconnect', () => process.exit());
  process.on('message', question => {
    if (question === 'stop') process.exit();
    const { user, system } = process.cpuUsage();
    say({ cpu: user + system });
  });
  say({ target: await serve() });
}

/** Listens on a free port. @returns the base URL */
export function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
    });
  });
}

function say(answer: Answer): void {
  process.send?.(answer);
}
