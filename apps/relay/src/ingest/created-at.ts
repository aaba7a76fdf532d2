/**
 * `created_at` of an event: ISO 8601 in the extended form, with a zone. Taken are the spellings that serialisers
 * make: seconds may be absent (Java leaves them out where they are 0), the fraction has up to 9 digits after a point
 * or comma and is cut to microseconds, the zone is `Z`, `+hh:mm`, `+hhmm` or `+hh`.
 *
 * A leap second (`23:59:60` in UTC and nowhere else) counts as the last microsecond before it, so that order holds.
 * Times before 1970 are refused, since none can be meant, and those after 2255, whose microseconds a number does not
 * hold exactly.
 */
const shape =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)$/;

/** What is accepted, for error messages. */
export const createdAtForm = "ISO 8601 with zone, such as 2026-01-31T09:30:00Z";

/** Microseconds since 1970; undefined for anything that is no such time. */
export function parseCreatedAt(text: string): number | undefined {
  const match = shape.exec(text);
  if (match === null) return undefined;
  const part = (group: number): number => Number(match[group] ?? 0);
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  // `Date.UTC` takes the years 0 to 99 for 1900 to 1999.
  if (year < 1969 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || part(9) > 23 || part(10) > 59) return undefined;

  const offset = (part(9) * 60 + part(10)) * (match[8] === "-" ? -1 : 1);
  const ofMinute = Date.UTC(year, month - 1, day, hour, minute - offset);
  const leap = second === 60;
  if (leap && ofMinute % 86_400_000 !== lastMinute) return undefined;
  const fraction = leap ? 999_999 : Number((match[7] ?? "").slice(0, 6).padEnd(6, "0"));
  const microseconds = (ofMinute + (leap ? 59 : second) * 1000) * 1000 + fraction;
  return microseconds >= 0 && Number.isSafeInteger(microseconds) ? microseconds : undefined;
}

const lastMinute = (23 * 60 + 59) * 60_000;

/** 0 for a month that there is not. */
function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}
