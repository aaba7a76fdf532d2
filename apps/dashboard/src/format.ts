/** Numbers, times and addresses as the page shows them. What is missing or no number is an em dash, never NaN. */

const missing = "—";

const locale = "en-US";
const twoDigits = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const fourDigits = new Intl.NumberFormat(locale, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const significant = new Intl.NumberFormat(locale, { maximumSignificantDigits: 4 });
const upToFour = new Intl.NumberFormat(locale, { maximumFractionDigits: 4 });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
/** Intl writes a hyphen; beside figures of one width a true minus is as wide as the plus. */
const minus = "\u2212";
const percent = new Intl.NumberFormat(locale, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: "exceptZero",
});
const tinyPercent = new Intl.NumberFormat(locale, { maximumSignificantDigits: 1, signDisplay: "exceptZero" });
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** The vendor promises neither a field nor its kind: a finite number, or one written as text, or nothing. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "string") {
    if (value.trim() === "") return undefined;
    return numberOf(Number(value));
  }
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** Text that is worth showing; ids may come as numbers. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text === "" ? undefined : text;
}

/** A price: two digits behind the point, more when it is small. The vendor names no currency, so none is shown. */
export function formatPrice(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return missing;
  const size = Math.abs(value);
  if (size >= 1 || size === 0) return twoDigits.format(value);
  return size >= 0.01 ? fourDigits.format(value) : significant.format(value);
}

/** A number of tokens: only as many digits as it has, at most four. */
export function formatAmount(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? missing : upToFour.format(value);
}

export function formatCount(value: number): string {
  return whole.format(value);
}

export function formatRate(value: number): string {
  return value >= 100 ? whole.format(value) : oneDigit.format(value);
}

/** From `previous` to `current` in per cent, signed; a dash where there is nothing to compare. */
export function formatChange(previous: number | undefined, current: number | undefined): string {
  if (previous === undefined || current === undefined || previous === 0) return missing;
  const change = ((current - previous) / Math.abs(previous)) * 100;
  if (!Number.isFinite(change)) return missing;
  // A change that is one must not read 0.00%.
  const digits = change !== 0 && Math.abs(change) < 0.005 ? tinyPercent : percent;
  return `${digits.format(change).replace("-", minus)}%`;
}

/** `0x52908400098527886e0f…` becomes `0x5290…e0f7`; what is short enough stays. */
export function shortAddress(address: string | undefined): string {
  if (address === undefined) return missing;
  return address.length <= 13 ? address : `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** The time of day; with the day once that is not today's. */
export function formatTime(at: number | undefined, now: number): string {
  if (at === undefined || !Number.isFinite(at)) return missing;
  const sameDay = new Date(at).toDateString() === new Date(now).toDateString();
  return sameDay ? clock.format(at) : dayAndClock.format(at);
}

/** For `<time datetime>`; undefined where there is no time. */
export function isoTime(at: number | undefined): string | undefined {
  return at === undefined || !Number.isFinite(at) ? undefined : new Date(at).toISOString();
}

/** `offering_started` becomes `Offering started`. */
export function sentence(name: string): string {
  const words = name.replaceAll(/[_\s]+/g, " ").trim();
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
