/** HTML by template: whatever is put in is text, and escaped, unless it is HTML that was made here. */

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | readonly Part[];

export function html(pieces: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const text = pieces.map((piece, place) => piece.replaceAll(indentation, '\n') + write(parts[place] ?? ''));
  return new Html(text.join(''));
}

/** Of the template, not of what is put in: that may stand in a `pre`. */
const indentation = /\n\s+/g;

/** @param rows `tr` elements, with a cell for each column */
export function table(columns: readonly string[], rows: readonly Html[]): Html {
  return html`<table>
    <thead>
      <tr>
        ${columns.map(name => html`<th scope="col">${name}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

/** Text in which what stands between backticks is code. */
export function prose(text: string): Html {
  const paragraphs = text.split('\n\n').map(paragraph => {
    const pieces = paragraph.split('`');
    return html`<p>
      ${pieces.map((piece, place) => (place % 2 === 1 ? html`<code>${piece}</code>` : piece))}
    </p>`;
  });
  return html`${paragraphs}`;
}

function write(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(write).join('');
  return String(part).replaceAll(/[&<>"']/g, sign => `&#${sign.codePointAt(0)};`);
}
