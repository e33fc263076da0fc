/** The process that serves a subject, as the bench sees it. It runs compiled code, as a deployment does. */
import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { Answer, Question, Subject, Target } from './subjects.ts';

export interface ServerProcess {
  readonly target: Target;
  /** Microseconds of CPU that the process has used. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

/** @param profileDirectory where the process writes a CPU profile when it stops, if it is to */
export function startServer(
  subject: Subject,
  redisUrl: string,
  profileDirectory?: string,
): Promise<ServerProcess> {
  const profiling =
    profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  return startProcess('server.js', [subject, redisUrl], profiling);
}

/** @param file compiled, of this folder */
export async function startProcess(
  file: string,
  args: readonly string[],
  execArgv: string[] = [],
): Promise<ServerProcess> {
  const entry = path.resolve(import.meta.dirname, '../.cache/bench/bench', file);
  const child = fork(entry, args, {
    execArgv,
    // The log is written, and read by nobody.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const stop = () => end(child);
  try {
    const answer = await hear(child);
    if (!('target' in answer)) throw new Error(`${args[0]} said something else first`);
    return { target: answer.target, cpu: () => askForCpu(child), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function askForCpu(child: ChildProcess): Promise<number> {
  const answered = hear(child);
  ask(child, 'cpu');
  const answer = await answered;
  return 'cpu' in answer ? answer.cpu : Number.NaN;
}

function ask(child: ChildProcess, question: Question): void {
  if (child.connected) child.send(question);
}

/** What the process says next. @throws where it ends instead, or says nothing for 20 s */
function hear(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => settle(() => reject(new Error('the server said nothing for 20 s'))),
      20_000,
    );
    const onMessage = (answer: Answer) => settle(() => resolve(answer));
    const onExit = (code: number | null) => settle(() => reject(new Error(`the server ended with ${code}`)));
    const settle = (outcome: () => void) => {
      clearTimeout(late);
      child.off('message', onMessage).off('exit', onExit);
      outcome();
    };
    child.on('message', onMessage).on('exit', onExit);
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => {
    child.once('exit', resolve);
  });
  const cut = setTimeout(() => child.kill('SIGKILL'), 10_000);
  ask(child, 'stop');
  await ended;
  clearTimeout(cut);
}
