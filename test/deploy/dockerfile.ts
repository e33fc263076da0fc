/** Reads a Dockerfile: its stages and their instructions, as far as this project's file goes. */

export interface Instruction {
  /** In capitals. */
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  /** Of the `FROM`. */
  readonly image: string;
  readonly instructions: readonly Instruction[];
}

export function parseDockerfile(text: string): Stage[] {
  const stages: { image: string; instructions: Instruction[] }[] = [];
  for (const line of joinLines(text)) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/s.exec(line) ?? [];
    if (name.toUpperCase() === 'FROM') stages.push({ image: rest.split(/\s/, 1)[0] ?? '', instructions: [] });
    else stages.at(-1)?.instructions.push({ name: name.toUpperCase(), text: rest });
  }
  return stages;
}

/** What an instruction like `USER` says where it stands several times: the last one. */
export function lastOf({ instructions }: Stage, name: string): string | undefined {
  return instructions.findLast(instruction => instruction.name === name)?.text;
}

export function allOf({ instructions }: Stage, name: string): string[] {
  return instructions.filter(instruction => instruction.name === name).map(({ text }) => text);
}

/** Instructions one a line, without comments; those that go on after a backslash are joined. */
function joinLines(text: string): string[] {
  const lines = text.split('\n').filter(line => !/^\s*(?:#|$)/.test(line));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
}
