/** What is asked of the server on a connection, and its answers. */
import type {
  AuthenticateAck,
  AuthenticateRequest,
  ReadAck,
  ReadRequest,
  Refusal,
  SubscribeAck,
  SubscribeRequest,
  UnsubscribeAck,
  UnsubscribeRequest,
} from "@sharmo-relay/protocol";

/** Of a topic: payload and answer. */
export interface Requests {
  subscribe: [SubscribeRequest, SubscribeAck | Refusal];
  unsubscribe: [UnsubscribeRequest, UnsubscribeAck | Refusal];
  read: [ReadRequest, ReadAck | Refusal];
}

/**
 * Sends a request. `answered` is called the moment the answer arrives, before anything that came after it, and not at
 * all if the connection is lost first.
 */
export type Request<R extends { [N in keyof R]: [object, unknown] }> = <N extends keyof R & string>(
  name: N,
  payload: R[N][0],
  answered: (answer: R[N][1]) => void,
) => void;

/** Of a connection. */
export interface AllRequests extends Requests {
  authenticate: [AuthenticateRequest, AuthenticateAck | Refusal];
}
