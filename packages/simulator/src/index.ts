export {
  createMarket,
  defaultStart,
  type Market,
  type MarketOptions,
  type SimulatedEvent,
} from "./market.ts";
export { createRandom, type Random } from "./random.ts";
export { type RunOptions, run } from "./run.ts";
export type { Delivery } from "./sender/deliveries.ts";
export type { PostResult } from "./sender/post.ts";
export { type RegisterOptions, type Registration, register } from "./sender/register.ts";
export { vendorDelays } from "./sender/schedule.ts";
export { editData, sampleData, sendTestEvent, type TestEventOptions } from "./sender/test-event.ts";
export { createSender, type Sender, type SenderOptions, type SenderStats } from "./sender.ts";
export { type Style, serialise, styles } from "./serialise.ts";
export { type Scheme, schemes, signatureHeaders, signBody, signTimestamped } from "./sign.ts";
