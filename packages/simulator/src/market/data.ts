/**
 * The `data` of events, from the things they tell of.
 *
 * Documented payloads have exactly the documented fields. All others look like the objects of the vendor's REST
 * API; events that only the vendor's other guides name carry the object's own `id` where guide A's events say
 * `token_id` or `property_id`, since a receiver has to cope with both.
 */
import type { EventData } from "@sharmo-relay/protocol";
import { hundredth, type Property, type Token } from "./world.ts";

export function createdProperty(property: Property): EventData<"property.created"> {
  return {
    property_id: property.id,
    name: property.name,
    address: property.address,
    property_type: property.type,
    total_value: hundredth(property.value),
    total_tokens: property.tokens,
    status: property.status,
  };
}

export function changedProperty(property: Property): EventData<"property.updated"> {
  return { property_id: property.id, ...describedProperty(property) };
}

export function propertyObject(property: Property): EventData<"property.tokenized"> {
  return { id: property.id, ...describedProperty(property), total_tokens: property.tokens };
}

function describedProperty(property: Property): EventData<"property.updated"> {
  return {
    name: property.name,
    address: property.address,
    property_type: property.type,
    price: hundredth(property.price),
    status: property.status,
  };
}

export function createdToken(token: Token): EventData<"token.created"> {
  // What is planned: nothing is issued yet.
  return {
    token_id: token.id,
    ...describedToken(token),
    total_supply: token.property.tokens,
    ...chain(token),
  };
}

export function offeredToken(token: Token): EventData<"token.offering_started"> {
  return { token_id: token.id, ...describedToken(token), total_supply: hundredth(token.issued) };
}

export function pricedToken(token: Token): EventData<"token.price_changed"> {
  return { token_id: token.id, ...describedToken(token) };
}

export function tokenObject(token: Token): EventData<"token.issued"> {
  return {
    id: token.id,
    ...describedToken(token),
    total_supply: hundredth(token.issued),
    ...chain(token),
  };
}

function describedToken(token: Token): EventData<"token.price_changed"> {
  return {
    property_id: token.property.id,
    name: token.property.name,
    symbol: token.symbol,
    current_price: hundredth(token.price),
  };
}

function chain(token: Token): EventData<"token.created"> {
  return { contract_address: token.contract, blockchain: token.blockchain };
}
