/**
 * What `JSON.parse` does not tell: how deep a text nests, which keys stand twice, and how a number was written. One
 * pass over the text, before and independent of `JSON.parse`. The text need not be JSON: then the answer means
 * nothing, but it comes all the same, in linear time.
 */
export interface JsonScan {
  /** Nests deeper than asked; nothing after that place was looked at. */
  readonly tooDeep: boolean;
  /** A key that the outermost object has twice. */
  readonly repeatedKey: string | undefined;
  /** `data` of the outermost object has a key twice. */
  readonly repeatedDataKey: boolean;
  /** Numbers in `data` under the wanted keys, as written. */
  readonly numbers: ReadonlyMap<string, string>;
}

const quote = 0x22;
const backslash = 0x5c;

export function scanJson(text: string, maxDepth: number, wanted: ReadonlySet<string>): JsonScan {
  const keys = new Set<string>();
  const dataKeys = new Set<string>();
  const numbers = new Map<string, string>();
  let repeatedKey: string | undefined;
  let repeatedDataKey = false;

  let depth = 0;
  /** The outermost value is an object; the value two levels deep is the object under its key `data`. */
  let outerIsObject = false;
  let inData = false;
  /** A string that comes now is a key of one of these two. */
  let keyNext = false;
  /** Stays empty in an outermost array. */
  let key = "";
  let dataKey = "";

  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case quote: {
        const end = stringEnd(text, i);
        if (keyNext) {
          keyNext = false;
          const name = keyAt(text, i, end);
          if (depth === 1) {
            key = name;
            if (keys.has(name)) repeatedKey ??= name;
            keys.add(name);
          } else {
            dataKey = name;
            if (dataKeys.has(name)) repeatedDataKey = true;
            dataKeys.add(name);
          }
        }
        i = end;
        break;
      }
      case 0x7b: // {
      case 0x5b: {
        // [
        depth++;
        if (depth > maxDepth) return { tooDeep: true, repeatedKey, repeatedDataKey, numbers };
        const isObject = text.charCodeAt(i) === 0x7b;
        if (depth === 1) outerIsObject = isObject;
        if (depth === 2) inData = isObject && key === "data";
        keyNext = isObject && (depth === 1 || (depth === 2 && inData));
        break;
      }
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x2c: // ,
        keyNext = (depth === 1 && outerIsObject) || (depth === 2 && inData);
        break;
      case 0x2d: // -
      case 0x30: // 0 to 9
      case 0x31:
      case 0x32:
      case 0x33:
      case 0x34:
      case 0x35:
      case 0x36:
      case 0x37:
      case 0x38:
      case 0x39: {
        const end = numberEnd(text, i);
        if (depth === 2 && inData && wanted.has(dataKey)) numbers.set(dataKey, text.slice(i, end));
        i = end - 1;
        break;
      }
    }
  }
  return { tooDeep: false, repeatedKey, repeatedDataKey, numbers };
}

/** Index of the closing quote, or of the last character if there is none. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === quote) return i;
    if (c === backslash) i++;
  }
  return i;
}

/** One character past the number: all that is not a sign, digit, point or exponent ends it. */
function numberEnd(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && isNumberPart(text.charCodeAt(i))) i++;
  return i;
}

function isNumberPart(c: number): boolean {
  return (c >= 0x30 && c <= 0x39) || c === 0x2e || c === 0x65 || c === 0x45 || c === 0x2b || c === 0x2d;
}

/** `"d\u0061ta"` is the key `data`. */
function keyAt(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end);
  if (!raw.includes("\\")) return raw;
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return raw;
  }
}
