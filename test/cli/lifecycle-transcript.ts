/** Runs commands in this process, and writes down what they say, with what differs from run to run replaced by its kind. */
import { runCommandLine } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Transcript {
  readonly #env: NodeJS.ProcessEnv;
  readonly #replaced: [text: string, by: string][];

  /** @param replaced what stands for itself in no two runs, as addresses and directories */
  constructor(env: NodeJS.ProcessEnv, replaced: readonly [text: string, by: string][] = []) {
    this.#env = env;
    this.#replaced = [...replaced];
  }

  /** Runs one line, as a shell would split it, and returns all that there is to see: `2>` is stderr. */
  async show(line: string, with_: Partial<Terminal> = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(line, with_);
    const shown = [`$ keyturn ${line}`, ...lines(stdout), ...lines(stderr).map(text => `2> ${text}`)];
    return this.#normalise([...shown, ...(code === 0 ? [] : [`exit ${code}`])].join('\n'));
  }

  /** As it was. @throws where a secret was said on stderr, whatever the command */
  async run(line: string, with_: Partial<Terminal> = {}): Promise<Ran> {
    let [stdout, stderr] = ['', ''];
    const code = await runCommandLine(split(line), {
      stdout: { write: text => (stdout += text) },
      stderr: { write: text => (stderr += text) },
      ...with_,
      env: { ...this.#env, ...with_.env },
    });
    if (/kt_[0-9a-f]{32}_|eyJ[\w-]+\.[\w-]+/.test(stderr)) throw new Error(`a secret on stderr: ${line}`);
    return { code, stdout, stderr };
  }

  /** What `--json` printed. */
  async json(line: string): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run(`${line} --json`);
    if (code !== 0) throw new Error(`keyturn ${line} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  #normalise(text: string): string {
    const numbers = new Map<string, string>();
    const number = (kind: string, value: string): string => {
      const count = [...numbers.values()].filter(name => name.startsWith(`<${kind} `)).length;
      const known = numbers.get(value.toLowerCase()) ?? `<${kind} ${count + 1}>`;
      numbers.set(value.toLowerCase(), known);
      return known;
    };
    return this.#replaced
      .reduce((all, [from, to]) => all.replaceAll(from, to), text)
      .replaceAll(/kt_[0-9a-f]{32}_[0-9A-Za-z]{38}/g, key => number('key', key))
      .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<token>')
      .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi, id => number('id', id))
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
      .replaceAll(/\b[0-9a-f]{64}\b/g, '<hash>')
      .replaceAll(/^[\w-]{43}\t/gm, '<kid>\t')
      .replaceAll(/("kid": )"[\w-]{43}"/g, '$1"<kid>"')
      .replaceAll(/^\d+\t(?=<time>)/gm, '<number>\t')
      .replaceAll(/(--if-match |etag: |"etag": )[\w"\\-]{20,}/g, '$1<etag>')
      .replaceAll(/("last4": ?)"\w{4}"/g, '$1"<last4>"')
      .replaceAll(/("lastUsed(?:At|From)": ?)(?:"[^"]*"|null)/g, '$1"<use>"');
  }
}

function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** At blanks, but for those in double quotes. */
function split(line: string): string[] {
  return Array.from(line.matchAll(/"([^"]*)"|\S+/g), ([word, quoted]) => quoted ?? word);
}
