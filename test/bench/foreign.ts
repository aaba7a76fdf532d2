/** Relays in C and Go from the system's packages, where they are installed: nginx with nchan, and nats-server. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { freePort } from "../../apps/relay/src/log/redis-server.test-helper.ts";
import { type System, started } from "./systems.ts";

const nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so";

export interface Foreign {
  /** Undefined: not installed here. */
  readonly system: System | undefined;
  readonly what: string;
}

/** They check no signature and no token, and store nothing. */
export function foreignSystems(): readonly Foreign[] {
  const nginx = onPath("nginx");
  const nats = onPath("nats-server");
  return [
    {
      what: "nchan (nginx)",
      system: nginx === undefined || !existsSync(nchanModule) ? undefined : nchanSystem(nginx),
    },
    { what: "nats-server", system: nats === undefined ? undefined : natsSystem(nats) },
  ];
}

function nchanSystem(nginx: string): System {
  return {
    name: "nchan",
    collects: false,
    start: () =>
      started(false, async ({ folder }) => {
        const port = await freePort();
        const file = join(folder, "nginx.conf");
        await writeFile(file, nginxConfig(folder, port));
        return {
          command: nginx,
          args: ["-p", folder, "-c", file, "-e", "stderr"],
          env: {},
          ready: "accepts",
          port,
          subscribeScript: async () => ["-u", "/events"],
          publishScript: [],
        };
      }),
  };
}

/** One worker, as the others have one process; enough buffered that no subscriber misses what it is slow to take. */
function nginxConfig(folder: string, port: number): string {
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid ${folder}/nginx.pid;
load_module ${nchanModule};
events { worker_connections 32768; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  nchan_message_buffer_length 20000;
  nchan_message_timeout 10m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /api/sharmo-webhooks { nchan_publisher; nchan_channel_id events; }
    location = /events { nchan_subscriber websocket; nchan_channel_id events; nchan_subscriber_first_message newest; }
  }
}
`;
}

function natsSystem(server: string): System {
  return {
    name: "nats",
    collects: false,
    start: () =>
      started(false, async ({ folder }) => {
        const publishPort = await freePort();
        const port = await freePort();
        const file = join(folder, "nats.conf");
        await writeFile(
          file,
          `listen: "127.0.0.1:${publishPort}"\nwebsocket { host: "127.0.0.1", port: ${port}, no_tls: true }\n`,
        );
        return {
          command: server,
          args: ["-c", file],
          env: {},
          ready: "accepts",
          port,
          publishPort,
          subscribeScript: async () =>
            [
              ["--nats", "--stream", "--wait", "INFO"],
              ["--sendbin", 'CONNECT {"verbose":false}\\r\\nSUB events 1\\r\\nPING\\r\\n', "--wait", "PONG"],
            ].flat(),
          publishScript: ["--nats", "events"],
        };
      }),
  };
}

function onPath(program: string): string | undefined {
  // Debian keeps servers where not everyone looks
  return [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}
