/**
 * JSON text that goes onto the wire as it is: events in acks, whose numbers must not be read and printed again.
 */
import { Encoder, type Packet, PacketType } from "socket.io-parser";

export class RawJson {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Socket.IO's own encoder, except for acks that carry `RawJson`. */
export class RawJsonEncoder extends Encoder {
  override encode(packet: Packet): (string | Buffer)[] {
    const data: unknown = packet.data;
    if (
      packet.type === PacketType.ACK &&
      Array.isArray(data) &&
      data.some((part) => part instanceof RawJson)
    ) {
      const parts = data.map((part: unknown) => (part instanceof RawJson ? part.text : JSON.stringify(part)));
      const namespace = packet.nsp === "/" ? "" : `${packet.nsp},`;
      return [`${packet.type}${namespace}${packet.id ?? ""}[${parts.join(",")}]`];
    }
    return super.encode(packet);
  }
}
