/**
 * The built dashboard. Its files are read once at start and served from memory by exact name: no path from outside
 * ever reaches the file system. `/` is the page; nothing else falls back to it.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Middleware } from "koa";

interface StaticFile {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type StaticFiles = ReadonlyMap<string, StaticFile>;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
};

/** The page loads what the relay serves, talks to the relay (or one given to it) by fetch and WebSocket, and no more. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** `name-<hash>.ext`, as Vite names what it builds: other contents have another name. */
const hashed = /^\/assets\/[^/]+-[\w-]{8}\.\w+$/;
const maxTotalBytes = 64 * 1024 * 1024;

/** Reads a built page; undefined if there is no `index.html` in the folder. */
export async function loadStatic(folder: string): Promise<StaticFiles | undefined> {
  const files = new Map<string, StaticFile>();
  let total = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.startsWith(".")) continue;
    const file = join(entry.parentPath, entry.name);
    const name = `/${file.slice(join(folder, "/").length).replaceAll("\\", "/")}`;
    const body = await readFile(file);
    total += body.length;
    if (total > maxTotalBytes)
      throw new RangeError(`${folder} holds more than ${maxTotalBytes} bytes; is it a built page?`);
    files.set(name, fileOf(name, body));
  }
  const index = files.get("/index.html");
  if (index === undefined) return undefined;
  return files.set("/", index);
}

function fileOf(name: string, body: Buffer): StaticFile {
  const type = types[extname(name)] ?? "application/octet-stream";
  const headers: Record<string, string> = {
    "Cache-Control": hashed.test(name) ? "public, max-age=31536000, immutable" : "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  };
  // also on what a browser might show as a page of its own
  if (type.startsWith("text/html") || type === types[".svg"]) headers["Content-Security-Policy"] = policy;
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return { body, type, etag, headers };
}

/** Answers GET and HEAD for the files; everything else goes on. */
export function serveStatic(files: StaticFiles): Middleware {
  return async (ctx, next) => {
    const file = ctx.method === "GET" || ctx.method === "HEAD" ? files.get(ctx.path) : undefined;
    if (file === undefined) return next();
    ctx.set(file.headers);
    ctx.set("ETag", file.etag);
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    ctx.set("Content-Type", file.type);
    ctx.body = file.body;
  };
}
