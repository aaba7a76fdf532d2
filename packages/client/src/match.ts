/** Whether a live event is for a topic: what the server decides by rooms, on what `JSON.parse` left of the event. */
import {
  addressFields,
  groupOf,
  idKeys,
  isFilterValue,
  makeTopic,
  patternMatches,
  type SharmoEvent,
  type Topic,
} from "@sharmo-relay/protocol";

/**
 * The rule of the protocol's `routingOf` and `matches`, which know all filters, for the one of this topic; a property
 * test holds them together. A number is compared as a number with what the topic says, since `JSON.parse` may have
 * changed its text: two long numbers that are one to JavaScript are one here.
 */
export function isFor({ pattern, filter, name }: Topic, { type, data }: SharmoEvent): boolean {
  if (!patternMatches(pattern, type)) return false;
  if (filter === undefined) return true;
  const { key, value } = filter;
  const fields = (data ?? {}) as Readonly<Record<string, unknown>>;
  const fits = (field: string): boolean => {
    const own = fields[field];
    if (typeof own === "number") return Number(value) === own;
    return isFilterValue(own) && makeTopic(pattern, { key, value: own }).name === name;
  };
  if (key === "address") return addressFields.some(fits);
  const own = fields[key];
  const hasKey = typeof own === "number" || isFilterValue(own);
  return hasKey ? fits(key) : idKeys[key] === groupOf(type) && fits("id");
}
