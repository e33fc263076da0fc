/** The forms in which a GUID is written, and the one in which Keyturn writes it: dashed, lower case. */

/**
 * Reads a GUID in dashed (D), bare (N) or braced (B) form, in any case.
 *
 * @returns the dashed lower-case form, or undefined where the text is anything else; nothing is trimmed.
 */
export function parseGuid(text: string): string | undefined {
  const digits = bareForm.test(text) ? text : dashedDigits(text);
  return digits === undefined ? undefined : dashGuid(digits.toLowerCase());
}

/** Writes 32 hexadecimal digits in dashed form. */
export function dashGuid(digits: string): string {
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

/** The 32 digits of a dashed GUID. */
export function bareGuid(dashed: string): string {
  return dashed.replaceAll('-', '');
}

const bareForm = /^[0-9a-f]{32}$/i;
const dashedForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function dashedDigits(text: string): string | undefined {
  const inner = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
  return dashedForm.test(inner) ? bareGuid(inner) : undefined;
}
