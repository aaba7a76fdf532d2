export type {
  Cursor,
  ErrorCode,
  EventData,
  EventGroup,
  EventOf,
  EventType,
  GapReason,
  SharmoEvent,
} from "@sharmo-relay/protocol";
export { RelayError, type RelayErrorCode } from "./errors.ts";
export { createRelay, untyped } from "./relay.ts";
export type { ConnectionState, Status } from "./status.ts";
export type {
  DeliveryInfo,
  DeliveryKind,
  EventFor,
  EventStream,
  Filter,
  GapInfo,
  Handler,
  Pattern,
  Ready,
  Relay,
  RelayOptions,
  StreamOptions,
  SubscribeOptions,
  Subscription,
  TokenProvider,
  TokenReason,
  TypesOf,
  Untyped,
} from "./types.ts";
