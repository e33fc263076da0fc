/** `keyturn completion`: prints a script for a shell that completes commands and options, made from the commands themselves. */
import { Argument, type Command } from 'commander';
import { print, type Terminal } from '../terminal.ts';

export function addCompletionCommand(program: Command, terminal: Terminal): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(Object.keys(scripts)))
    .description('print a script that completes commands and options')
    .action((shell: keyof typeof scripts) => print(terminal, scripts[shell](listPlaces(program))));
}

/** A command by its whole name, and the words that may follow it. */
interface Place {
  readonly name: string;
  readonly words: readonly string[];
}

function listPlaces(command: Command, parent = ''): Place[] {
  const name = `${parent} ${command.name()}`.trim();
  const commands = command.commands.map(child => child.name());
  const options = command.options.flatMap(({ long }) => long ?? []);
  const words = [...commands, ...options, '--help'];
  return [{ name, words }, ...command.commands.flatMap(child => listPlaces(child, name))];
}

/** Each walks from word to word as far as they are commands, and offers what may follow there. */
const scripts = {
  bash: (places: readonly Place[]) => `_keyturn() {
  local at=keyturn word offer
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in ${namesOf(places, '|')}) at="$at $word" ;; esac
  done
${casesOf(places)}
  COMPREPLY=($(compgen -W "$offer" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _keyturn keyturn`,

  zsh: (places: readonly Place[]) => `#compdef keyturn
_keyturn() {
  local at=keyturn word offer
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in ${namesOf(places, '|')}) at="$at $word" ;; esac
  done
${casesOf(places)}
  compadd -- \${=offer}
  _files
}
compdef _keyturn keyturn`,

  fish: (places: readonly Place[]) => `function __keyturn_words
  set -l at keyturn
  for word in (commandline -opc)[2..-1]
    switch "$at $word"
      case ${namesOf(places, ' ')}
        set at "$at $word"
    end
  end
  switch "$at"
${places.map(({ name, words }) => `    case "${name}"\n      printf '%s\\n' ${words.join(' ')}`).join('\n')}
  end
end
complete -c keyturn -a '(__keyturn_words)'`,
};

function namesOf(places: readonly Place[], separator: string): string {
  return places
    .slice(1)
    .map(({ name }) => `"${name}"`)
    .join(separator);
}

function casesOf(places: readonly Place[]): string {
  const cases = places.map(({ name, words }) => `    "${name}") offer="${words.join(' ')}" ;;`);
  return ['  case "$at" in', ...cases, '  esac'].join('\n');
}
