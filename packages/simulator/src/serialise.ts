/**
 * The same event in the bytes that different servers would send. A receiver that verifies anything but the bytes
 * it got fails on two of the three.
 */

/**
 * - `json`: JavaScript's `JSON.stringify`
 * - `python`: `json.dumps`: a space after `,` and `:`, non-ASCII escaped, `100.0` for a price of 100
 * - `dotnet`: no spaces, non-ASCII kept, `10.50` as a decimal prints it, a line break at the end
 */
export type Style = "json" | "python" | "dotnet";

export const styles: readonly Style[] = ["json", "python", "dotnet"];

/** Fields that such servers keep as floats or decimals. */
const moneyFields: ReadonlySet<string> = new Set([
  "current_price",
  "price",
  "price_per_token",
  "total_amount",
  "total_value",
]);

export function serialise(value: unknown, style: Style): Uint8Array {
  switch (style) {
    case "json":
      return Buffer.from(JSON.stringify(value));
    case "python":
      return Buffer.from(write(value, { comma: ", ", colon: ": ", string: asciiString, money: asFloat }));
    case "dotnet":
      return Buffer.from(
        `${write(value, { comma: ",", colon: ":", string: JSON.stringify, money: asDecimal })}\n`,
      );
  }
}

interface Writer {
  readonly comma: string;
  readonly colon: string;
  readonly string: (text: string) => string;
  readonly money: (value: number) => string;
}

function write(value: unknown, writer: Writer, field?: string): string {
  if (typeof value === "string") return writer.string(value);
  if (typeof value === "number" && Number.isFinite(value)) {
    return field !== undefined && moneyFields.has(field) ? writer.money(value) : String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, writer)).join(writer.comma)}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => `${writer.string(key)}${writer.colon}${write(member, writer, key)}`);
    return `{${members.join(writer.comma)}}`;
  }
  return typeof value === "boolean" ? String(value) : "null";
}

function asciiString(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function asFloat(value: number): string {
  return Number.isSafeInteger(value) ? `${value}.0` : String(value);
}

/** Two digits, unless that would change the value. */
function asDecimal(value: number): string {
  const text = value.toFixed(2);
  return Number(text) === value ? text : String(value);
}
