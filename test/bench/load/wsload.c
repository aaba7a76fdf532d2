/* wsload - WebSocket fan-out load client (one thread, epoll).
 *
 * Opens N WebSocket connections, runs a small script of waits and sends on each, prints
 * READY, then counts the events delivered on all of them: an event is one occurrence of
 * the marker (default "n":) in the received payloads, whatever the framing. Prints one
 * JSON line when the expected total has come, when nothing has come for the idle limit,
 * at the time limit, or on SIGTERM / SIGINT. SIGUSR1: bytes, frames, reads and CPU count from now
 * (prints MARK).
 *
 *   cc -O2 -o wsload wsload.c          (with --deflate: cc -O2 -DWITH_ZLIB -o wsload wsload.c -lz)
 *   wsload -p PORT [-H HOST] [-u PATH] [-n CONNS] [-e EVENTS_PER_CONN] [script] ...
 */
#define _GNU_SOURCE
#include "wscommon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#ifdef WITH_ZLIB
#include <zlib.h>
#endif

enum { ST_IDLE, ST_CONNECT, ST_HTTP, ST_INIT, ST_READY, ST_CLOSED };
enum { A_WAIT, A_TEXT, A_BIN };
typedef struct { int kind; char *s; size_t n; } action;

typedef struct {
  int fd;
  uint8_t st;
  uint8_t frag_control;
  uint16_t step;
  uint8_t *rb; size_t rn, rcap;      /* bytes of an incomplete frame or reply */
  uint8_t *wb; size_t wn, wcap;      /* bytes the socket would not take yet */
  uint8_t *carry; size_t cn;         /* --stream: tail of the payload stream */
  uint64_t next, got, uniq, dup, ooo;
  uint64_t *seen;                    /* bitmap, made at the first anomaly */
  uint32_t *lane_next;               /* --lanes: the next number of each */
  void *inflate;                     /* --deflate: one stream for all messages of the connection */
  char accept[32];
} conn;

static action acts[64]; static int nacts;
static const char *host = "127.0.0.1", *path = "/", *marker = "\"n\":", *tsmark = "\"t\":";
static const char *headers[16]; static int nheaders;
static int port, N = 1, par = 64, eio, natsp, stream, quiet, linger_ms = 100;
static int offer, deflate_refused; static uint64_t compressed; static uint8_t *plain; static const size_t PLAIN = 4u << 20;
static uint32_t lanes, lane_cap = 4096; static char **words; static long n_words;
static uint64_t expect_n, first_n; static double timeout_s = 60, idle_s = 10, hold_s = -1;
static size_t mlen, tlen;
static conn *C; static int ep, n_open, n_ready, n_started, n_failed, n_closed, n_pending;
static uint64_t total, total_uniq, total_dup, total_ooo, bytes_in, payload_bytes, frames, reads_, bad_ts;
static uint64_t t_first, t_last, s_first = UINT64_MAX, t_ready, t_start;
static hist H;
static volatile sig_atomic_t stop, mark;
static void on_mark(int s) { (void)s; mark = 1; }
static uint8_t *big; static const size_t BIG = 4u << 20, RD = 256u << 10;
static uint8_t *scratch; static size_t scratch_cap;
static volatile uint64_t *prog;
static uint64_t rnd = 88172645463325252ull;
static uint32_t rnd32(void) { rnd ^= rnd << 13; rnd ^= rnd >> 7; rnd ^= rnd << 17; return (uint32_t)(rnd >> 16); }
static void on_sig(int s) { (void)s; stop = 1; }

static void conn_close(conn *c, const char *why) {
  if (c->st == ST_CLOSED) return;
  if (!quiet && !stop) fprintf(stderr, "conn %ld closed in state %d step %d: %s\n", (long)(c - C), c->st, c->step, why);
  if (c->st < ST_READY) { n_failed++; n_pending--; } else { n_ready--; n_closed++; }
  if (c->st >= ST_INIT) n_open--;
  c->st = ST_CLOSED;
  close(c->fd);
}
static void ep_set(conn *c, uint32_t ev, int op) {
  struct epoll_event e = {.events = ev, .data.ptr = c};
  epoll_ctl(ep, op, c->fd, &e);
}
static void out(conn *c, const void *p, size_t n) {
  if (c->wn == 0) {
    ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL);
    if (r == (ssize_t)n) return;
    if (r < 0) { if (errno != EAGAIN) { conn_close(c, "write"); return; } r = 0; }
    p = (const char *)p + r; n -= (size_t)r;
    ep_set(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  }
  if (c->wn + n > c->wcap) { c->wcap = (c->wn + n) * 2; c->wb = realloc(c->wb, c->wcap); }
  memcpy(c->wb + c->wn, p, n); c->wn += n;
}
static void frame_out(conn *c, int op, const void *p, size_t n) {
  uint8_t *b = malloc(n + 14); size_t o = 0;
  b[o++] = (uint8_t)(0x80 | op);
  if (n < 126) b[o++] = (uint8_t)(0x80 | n);
  else if (n < 65536) { b[o++] = 0x80 | 126; b[o++] = (uint8_t)(n >> 8); b[o++] = (uint8_t)n; }
  else { b[o++] = 0x80 | 127; for (int i = 7; i >= 0; i--) b[o++] = (uint8_t)((uint64_t)n >> (8 * i)); }
  uint32_t k = rnd32(); uint8_t m[4]; memcpy(m, &k, 4); memcpy(b + o, m, 4); o += 4;
  for (size_t i = 0; i < n; i++) b[o + i] = ((const uint8_t *)p)[i] ^ m[i & 3];
  out(c, b, o + n); free(b);
}
/* Replaces %1 to %9 by the tab-separated words of the connection's line in the --words file. */
static char *with_words(const char *s, const char *line) {
  size_t cap = strlen(s) + 1, o = 0;
  for (const char *p = s; *p; p++) if (*p == '%' && p[1] >= '1' && p[1] <= '9') cap += strlen(line);
  char *f = malloc(cap);
  for (const char *p = s; *p; p++) {
    if (*p != '%' || p[1] < '1' || p[1] > '9') { f[o++] = *p; continue; }
    const char *w = line; int k = *++p - '1';
    while (k-- && (w = strchr(w, '\t'))) w++;
    if (w) { size_t l = strcspn(w, "\t"); memcpy(f + o, w, l); o += l; }
  }
  f[o] = 0; return f;
}
/* Runs the sends that stand next in the script; %i is the connection's number. */
static void run_script(conn *c) {
  while (c->st == ST_INIT && c->step < nacts && acts[c->step].kind != A_WAIT) {
    action *a = &acts[c->step++]; char *s = a->s; size_t n = a->n; char *f = NULL, *at;
    if (a->kind == A_TEXT && n_words) { s = f = with_words(a->s, words[(c - C) % n_words]); n = strlen(f); }
    else if (a->kind == A_TEXT && (at = strstr(a->s, "%i"))) {
      f = malloc(n + 16);
      n = (size_t)sprintf(f, "%.*s%ld%s", (int)(at - a->s), a->s, (long)(c - C), at + 2); s = f;
    }
    frame_out(c, a->kind == A_BIN ? 2 : 1, s, n); free(f);
  }
  if (c->st == ST_INIT && c->step >= nacts) { c->st = ST_READY; n_ready++; n_pending--; }
}

/* Finds the marker; the usual four-byte one with 16-byte compares. */
static inline const uint8_t *find_marker(const uint8_t *p, const uint8_t *e) {
#ifdef __SSE2__
  if (mlen == 4) {
    const __m128i a = _mm_set1_epi8(marker[1]), b = _mm_set1_epi8(marker[3]);
    uint32_t w; memcpy(&w, marker, 4);
    while (p + 20 <= e) {
      unsigned m = (unsigned)_mm_movemask_epi8(_mm_and_si128(
          _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 1)), a),
          _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 3)), b)));
      while (m) {
        int i = __builtin_ctz(m); uint32_t v; memcpy(&v, p + i, 4);
        if (v == w) return p + i;
        m &= m - 1;
      }
      p += 16;
    }
  }
#endif
  return (size_t)(e - p) >= mlen ? memmem(p, (size_t)(e - p), marker, mlen) : NULL;
}
/* A number is lane * 10^9 + place: each lane has an order of its own, from 0. */
static void note_lane(conn *c, uint64_t n) {
  uint64_t lane = n / 1000000000u, k = n % 1000000000u;
  if (lane >= lanes || k >= lane_cap) { c->ooo++; total_ooo++; return; }
  uint32_t *next = &c->lane_next[lane];
  if (k == *next && !c->seen) { ++*next; c->uniq++; total_uniq++; return; }
  if (!c->seen) {
    c->seen = calloc((size_t)lanes * lane_cap / 64 + 1, 8);
    for (uint32_t l = 0; l < lanes; l++)
      for (uint32_t i = 0; i < c->lane_next[l]; i++) { uint64_t b = (uint64_t)l * lane_cap + i; c->seen[b / 64] |= 1ull << (b % 64); }
  }
  if (k < *next) { c->ooo++; total_ooo++; } else *next = (uint32_t)k + 1;
  uint64_t b = lane * lane_cap + k;
  if (c->seen[b / 64] >> (b % 64) & 1) { c->dup++; total_dup++; }
  else { c->seen[b / 64] |= 1ull << (b % 64); c->uniq++; total_uniq++; }
}
static void note_seq(conn *c, uint64_t n) {
  c->got++; total++;
  if (lanes) { note_lane(c, n); return; }
  if (n == c->next && !c->seen) { c->next++; c->uniq++; total_uniq++; return; }
  uint64_t k = n - first_n, cap = expect_n ? expect_n : 1u << 20;
  if (k >= cap) { c->ooo++; total_ooo++; return; }
  if (!c->seen) {
    c->seen = calloc(cap / 64 + 1, 8);
    for (uint64_t i = 0; i < c->next - first_n && i < cap; i++) c->seen[i / 64] |= 1ull << (i % 64);
  }
  if (n < c->next) { c->ooo++; total_ooo++; } else c->next = n + 1;
  if (c->seen[k / 64] >> (k % 64) & 1) { c->dup++; total_dup++; }
  else { c->seen[k / 64] |= 1ull << (k % 64); c->uniq++; total_uniq++; }
}
/* Counts events in [p,e); returns the first byte not yet consumed (an event cut by the end). */
static const uint8_t *scan(conn *c, const uint8_t *p, const uint8_t *e, uint64_t now, int whole) {
  const uint8_t *m;
  while ((m = find_marker(p, e))) {
    const uint8_t *q = m + mlen; uint64_t n = 0, t = 0; int d = 0;
    while (q < e && *q >= '0' && *q <= '9') { n = n * 10 + (uint64_t)(*q++ - '0'); d = 1; }
    if (q == e && !whole) return m;
    if (!d) { p = q; continue; }
    /* the time stamp follows the number, within 64 bytes */
    const uint8_t *lim = q + 64 < e ? q + 64 : e;
    const uint8_t *s = lim > q ? memmem(q, (size_t)(lim - q), tsmark, tlen) : NULL;
    if (s) {
      s += tlen;
      while (s < e && *s >= '0' && *s <= '9') t = t * 10 + (uint64_t)(*s++ - '0');
      if (s == e && !whole) return m;
      q = s;
    } else if (lim == e && !whole) return m;
    note_seq(c, n);
    if (t) {
      hist_add(&H, now > t ? now - t : 0);
      if (t < s_first) s_first = t;
    } else bad_ts++;
    if (!t_first) t_first = now;
    t_last = now;
    p = q;
  }
  if (whole) return e;
  return (size_t)(e - p) >= mlen ? e - (mlen - 1) : p;
}
static void payload(conn *c, const uint8_t *p, size_t n, uint64_t now) {
  payload_bytes += n;
  if (eio && n == 1 && p[0] == '2') { frame_out(c, 1, "3", 1); return; }
  if (natsp && n >= 6 && p[0] == 'P' && memcmp(p, "PING\r\n", 6) == 0) { frame_out(c, 2, "PONG\r\n", 6); }
  if (c->st == ST_INIT) {
    if (c->step < nacts && acts[c->step].kind == A_WAIT && memmem(p, n, acts[c->step].s, acts[c->step].n)) { c->step++; run_script(c); }
    return;
  }
  if (!stream) { scan(c, p, p + n, now, 1); return; }
  if (c->cn) {
    if (c->cn + n > scratch_cap) { scratch_cap = (c->cn + n) * 2; scratch = realloc(scratch, scratch_cap); }
    memcpy(scratch, c->carry, c->cn); memcpy(scratch + c->cn, p, n); p = scratch; n += c->cn;
  }
  const uint8_t *r = scan(c, p, p + n, now, 0); c->cn = (size_t)(p + n - r);
  if (c->cn) { if (!c->carry) c->carry = malloc(256); if (c->cn > 256) { r += c->cn - 256; c->cn = 256; } memmove(c->carry, r, c->cn); }
}
/* A compressed message (RFC 7692), whole in one frame. */
static void inflated(conn *c, const uint8_t *p, size_t n, uint64_t now) {
#ifdef WITH_ZLIB
  static const uint8_t tail[4] = {0, 0, 0xff, 0xff}; z_stream *z = c->inflate;
  if (!z) { z = c->inflate = calloc(1, sizeof *z); if (inflateInit2(z, -15) != Z_OK) { conn_close(c, "zlib"); return; } }
  z->next_out = plain; z->avail_out = (uInt)PLAIN;
  for (int part = 0; part < 2; part++) {
    z->next_in = (Bytef *)(part ? tail : p); z->avail_in = part ? 4 : (uInt)n;
    int r = inflate(z, Z_SYNC_FLUSH);
    if (r == Z_STREAM_END && part == 0) { inflateReset(z); break; }
    if ((r != Z_OK && r != Z_BUF_ERROR) || z->avail_in) { conn_close(c, "compressed message"); return; }
  }
  compressed++;
  payload(c, plain, PLAIN - z->avail_out, now);
#else
  (void)p; (void)n; (void)now; conn_close(c, "compressed message without zlib");
#endif
}
/* Parses what is whole in [b,b+n); returns the bytes used. */
static size_t parse(conn *c, uint8_t *b, size_t n, uint64_t now) {
  size_t o = 0;
  if (c->st == ST_HTTP) {
    uint8_t *e = memmem(b, n, "\r\n\r\n", 4);
    if (!e) return 0;
    if (n < 12 || memcmp(b, "HTTP/1.1 101", 12)) { conn_close(c, "handshake refused"); return n; }
    if (offer && !memmem(b, (size_t)(e - b), "permessage-deflate", 18)) deflate_refused++;
    if (!memmem(b, (size_t)(e - b), c->accept, strlen(c->accept))) { conn_close(c, "wrong Sec-WebSocket-Accept"); return n; }
    o = (size_t)(e - b) + 4; c->st = ST_INIT; n_open++; run_script(c);
  }
  while (n - o >= 2 && c->st != ST_CLOSED) {
    uint8_t *p = b + o; size_t h = 2; uint64_t len = p[1] & 127;
    if (p[1] & 128) { conn_close(c, "masked server frame"); return n; }
    if (len == 126) { if (n - o < 4) break; len = (uint64_t)p[2] << 8 | p[3]; h = 4; }
    else if (len == 127) { if (n - o < 10) break; len = 0; for (int i = 0; i < 8; i++) len = len << 8 | p[2 + i]; h = 10; }
    if (len > BIG - RD) { conn_close(c, "frame too long"); return n; }
    if (n - o < h + len) break;
    int op = p[0] & 15; frames++;
    if (op == 8) { conn_close(c, "close frame"); return n; }
    if (op == 9) frame_out(c, 10, p + h, (size_t)len);
    else if (op <= 2 && p[0] & 0x40) inflated(c, p + h, (size_t)len, now);
    else if (op <= 2) payload(c, p + h, (size_t)len, now);
    o += h + (size_t)len;
  }
  return o;
}
static void on_read(conn *c) {
  if (c->rn) memcpy(big, c->rb, c->rn);
  ssize_t r = recv(c->fd, big + c->rn, RD, 0);
  if (r <= 0) { if (r < 0 && errno == EAGAIN) return; conn_close(c, r ? strerror(errno) : "end of stream"); return; }
  reads_++; bytes_in += (uint64_t)r;
  size_t n = c->rn + (size_t)r, used = parse(c, big, n, now_us());
  c->rn = n - used;
  if (c->rn) {
    if (c->rn > c->rcap) { c->rcap = c->rn * 2; c->rb = realloc(c->rb, c->rcap); }
    memcpy(c->rb, big + used, c->rn);
  }
}
static void on_write(conn *c) {
  if (c->st == ST_CONNECT) {
    int e = 0; socklen_t l = sizeof e;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
    if (e) { conn_close(c, strerror(e)); return; }
    c->st = ST_HTTP;
    uint8_t k[16]; char key[32], req[8192];
    for (int i = 0; i < 4; i++) { uint32_t v = rnd32(); memcpy(k + 4 * i, &v, 4); }
    base64(k, 16, key); ws_accept(key, strlen(key), c->accept);
    int n = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", path, host, port, key);
    if (offer) n += snprintf(req + n, sizeof req - (size_t)n, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    for (int i = 0; i < nheaders; i++) n += snprintf(req + n, sizeof req - (size_t)n, "%s\r\n", headers[i]);
    n += snprintf(req + n, sizeof req - (size_t)n, "\r\n");
    ep_set(c, EPOLLIN, EPOLL_CTL_MOD);
    out(c, req, (size_t)n);
    return;
  }
  if (c->wn) {
    ssize_t r = send(c->fd, c->wb, c->wn, MSG_NOSIGNAL);
    if (r < 0) { if (errno != EAGAIN) conn_close(c, "write"); return; }
    memmove(c->wb, c->wb + r, c->wn - (size_t)r); c->wn -= (size_t)r;
  }
  if (!c->wn) ep_set(c, EPOLLIN, EPOLL_CTL_MOD);
}
static void start_conn(conn *c) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, host, &a.sin_addr);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); c->next = first_n;
  if (lanes) c->lane_next = calloc(lanes, sizeof *c->lane_next);
  if (c->fd < 0) { perror("socket"); exit(2); }
  int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->st = ST_CONNECT; n_pending++; n_started++;
  if (connect(c->fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) { ep_set(c, EPOLLOUT, EPOLL_CTL_ADD); conn_close(c, strerror(errno)); return; }
  ep_set(c, EPOLLOUT, EPOLL_CTL_ADD);
}
static size_t unescape(char *s) { /* \r \n \t \\ \xHH in place */
  char *o = s, *b = s;
  for (; *s; s++) {
    if (*s != '\\' || !s[1]) { *o++ = *s; continue; }
    s++;
    if (*s == 'r') *o++ = '\r'; else if (*s == 'n') *o++ = '\n'; else if (*s == 't') *o++ = '\t';
    else if (*s == 'x' && s[1] && s[2]) { char h[3] = {s[1], s[2], 0}; *o++ = (char)strtol(h, NULL, 16); s += 2; }
    else *o++ = *s;
  }
  *o = 0; return (size_t)(o - b);
}
static void add(int kind, char *s) {
  if (nacts == 64) { fprintf(stderr, "too many script steps\n"); exit(2); }
  size_t n = kind == A_TEXT ? strlen(s) : unescape(s);
  acts[nacts++] = (action){kind, s, n};
}
static void usage(void) {
  fprintf(stderr,
    "wsload -p PORT [options]\n"
    "  -H HOST        IPv4 address (127.0.0.1)      -u PATH     request target (/)\n"
    "  -n N           connections (1)               -c N        handshakes at once (64)\n"
    "  -e M           events expected on each connection; 0: run until idle or time limit\n"
    "  --first K      number of the first event (0)\n"
    "  --lanes L      numbers are lane * 10^9 + place, each lane in its own order from 0; --lane-events M at most (4096)\n"
    "  --deflate      offer permessage-deflate, as browsers do (needs a build with -DWITH_ZLIB -lz)\n"
    "  --words FILE   script: %%1 to %%9 are the tab-separated words of the connection's line\n"
    "  --header 'K: V'                              (may repeat)\n"
    "  --wait STR     script: wait for a payload that contains STR (\\r \\n \\xHH allowed)\n"
    "  --send TEXT    script: send a text frame; %%i is the connection's number\n"
    "  --sendbin STR  script: send a binary frame (\\r \\n \\xHH allowed)\n"
    "  --eio          answer Engine.IO ping 2 with 3    --nats   answer NATS PING with PONG\n"
    "  --stream       an event may be cut by a frame's end (join payloads)\n"
    "  --marker S (\"n\":)  --tsmark S (\"t\":)  --realtime (stamps are CLOCK_REALTIME, else MONOTONIC)\n"
    "  --progress F   keep a mapped file: u64 delivered, u64 ready connections\n"
    "  --timeout S (60, from READY)  --idle S (10, from the last event)  --linger MS (100)\n"
    "  --hold S       measure idle connections: stay S seconds after READY, then leave\n"
    "  --ready-timeout S (60)  -q\n");
  exit(2);
}
int main(int argc, char **argv) {
  double ready_timeout = 60;
  for (int i = 1; i < argc; i++) {
    char *a = argv[i];
#define ARG (++i < argc ? argv[i] : (usage(), (char *)0))
    if (!strcmp(a, "-p")) port = atoi(ARG); else if (!strcmp(a, "-H")) host = ARG; else if (!strcmp(a, "-u")) path = ARG;
    else if (!strcmp(a, "-n")) N = atoi(ARG); else if (!strcmp(a, "-c")) par = atoi(ARG);
    else if (!strcmp(a, "-e")) expect_n = strtoull(ARG, 0, 10); else if (!strcmp(a, "--first")) first_n = strtoull(ARG, 0, 10);
    else if (!strcmp(a, "--lanes")) lanes = (uint32_t)atoi(ARG); else if (!strcmp(a, "--lane-events")) lane_cap = (uint32_t)atoi(ARG);
    else if (!strcmp(a, "--deflate")) offer = 1;
    else if (!strcmp(a, "--words")) {
      FILE *f = fopen(ARG, "r"); char *line = NULL; size_t cap = 0; ssize_t l;
      if (!f) { perror("words"); return 2; }
      while ((l = getline(&line, &cap, f)) > 0) {
        if (line[l - 1] == '\n') line[--l] = 0;
        words = realloc(words, sizeof *words * (size_t)(n_words + 1)); words[n_words++] = strdup(line);
      }
      free(line); fclose(f);
    }
    else if (!strcmp(a, "--header")) { if (nheaders == 16) usage(); headers[nheaders++] = ARG; }
    else if (!strcmp(a, "--wait")) add(A_WAIT, ARG); else if (!strcmp(a, "--send")) add(A_TEXT, ARG);
    else if (!strcmp(a, "--sendbin")) add(A_BIN, ARG);
    else if (!strcmp(a, "--eio")) eio = 1; else if (!strcmp(a, "--nats")) natsp = 1; else if (!strcmp(a, "--stream")) stream = 1;
    else if (!strcmp(a, "--marker")) marker = ARG; else if (!strcmp(a, "--tsmark")) tsmark = ARG;
    else if (!strcmp(a, "--realtime")) g_clock = CLOCK_REALTIME;
    else if (!strcmp(a, "--progress")) {
      int f = open(ARG, O_RDWR | O_CREAT, 0600);
      if (f < 0 || ftruncate(f, 4096)) { perror("progress"); return 2; }
      prog = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0); prog[0] = prog[1] = 0; close(f);
    }
    else if (!strcmp(a, "--timeout")) timeout_s = atof(ARG); else if (!strcmp(a, "--idle")) idle_s = atof(ARG);
    else if (!strcmp(a, "--hold")) hold_s = atof(ARG); else if (!strcmp(a, "--linger")) linger_ms = atoi(ARG);
    else if (!strcmp(a, "--ready-timeout")) ready_timeout = atof(ARG);
    else if (!strcmp(a, "-q")) quiet = 1; else usage();
  }
  if (!port || N < 1) usage();
#ifndef WITH_ZLIB
  if (offer) { fprintf(stderr, "--deflate: built without zlib\n"); return 2; }
#endif
  if (offer) plain = malloc(PLAIN);
  mlen = strlen(marker); tlen = strlen(tsmark);
  struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
  if ((rlim_t)N + 16 > rl.rlim_cur) { fprintf(stderr, "fd limit %lu too low\n", (unsigned long)rl.rlim_cur); return 2; }
  signal(SIGINT, on_sig); signal(SIGTERM, on_sig); signal(SIGUSR1, on_mark); signal(SIGPIPE, SIG_IGN);
  ep = epoll_create1(0); C = calloc((size_t)N, sizeof *C); big = malloc(BIG);
  rnd ^= now_us();
  t_start = now_us();
  struct rusage r0 = {0}, r1; struct epoll_event ev[512]; int said = 0; uint64_t done_at = 0;
  while (!stop) {
    while (n_started < N && n_pending < par) start_conn(&C[n_started]);
    uint64_t now = now_us();
    if (!said && n_started == N && n_pending == 0) {
      if (n_failed) { fprintf(stderr, "%d connections failed\n", n_failed); if (n_ready == 0) return 3; }
      said = 1; t_ready = now; getrusage(RUSAGE_SELF, &r0);
      if (prog) prog[1] = (uint64_t)n_ready;
      printf("READY %d\n", n_ready); fflush(stdout);
    }
    if (!said && now - t_start > ready_timeout * 1e6) { fprintf(stderr, "not ready in time: %d of %d\n", n_ready, N); return 3; }
    if (mark) { mark = 0; bytes_in = payload_bytes = frames = reads_ = compressed = 0; getrusage(RUSAGE_SELF, &r0); printf("MARK\n"); fflush(stdout); }
    if (said) {
      if (hold_s >= 0 && now - t_ready > hold_s * 1e6) break;
      if (expect_n && total_uniq >= expect_n * (uint64_t)N) { if (!done_at) done_at = now; if (now - done_at >= (uint64_t)linger_ms * 1000) break; }
      if (now - t_ready > timeout_s * 1e6) break;
      if (t_last && now - t_last > idle_s * 1e6) break;
      if (n_ready == 0) break;
    }
    int k = epoll_wait(ep, ev, 512, done_at ? 10 : 50);
    for (int i = 0; i < k; i++) {
      conn *c = ev[i].data.ptr;
      if (c->st == ST_CLOSED) continue;
      if (ev[i].events & EPOLLOUT) on_write(c);
      if (c->st != ST_CLOSED && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && c->st != ST_CONNECT) on_read(c);
      if ((i & 31) == 31 && prog) prog[0] = total;
    }
    if (prog) prog[0] = total;
  }
  int open_end = n_open;
  getrusage(RUSAGE_SELF, &r1);
  double cpu = (double)(r1.ru_utime.tv_sec - r0.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_stime.tv_sec) +
    1e-6 * (double)(r1.ru_utime.tv_usec - r0.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_stime.tv_usec);
  uint64_t miss = 0, dups = 0; int miss_c = 0, dup_c = 0; uint64_t mn = UINT64_MAX, mx = 0;
  for (int i = 0; i < N; i++) {
    conn *c = &C[i]; uint64_t want = expect_n ? expect_n : c->next - first_n;
    if (lanes && !expect_n) { want = 0; for (uint32_t l = 0; l < lanes; l++) want += c->lane_next ? c->lane_next[l] : 0; }
    if (c->uniq < want) { miss += want - c->uniq; miss_c++; }
    if (c->dup) { dups += c->dup; dup_c++; }
    if (c->got < mn) mn = c->got;
    if (c->got > mx) mx = c->got;
  }
  double el = t_last > t_first ? (double)(t_last - t_first) * 1e-6 : 0;
  double span = s_first != UINT64_MAX && t_last > s_first ? (double)(t_last - s_first) * 1e-6 : 0;
  printf("{\"connections\":%d,\"open_at_end\":%d,\"failed\":%d,\"closed_by_server\":%d,\"messages\":%llu,\"unique\":%llu,"
    "\"frames\":%llu,\"reads\":%llu,\"bytes\":%llu,\"payload_bytes\":%llu,\"setup_s\":%.3f,\"elapsed_s\":%.6f,\"span_s\":%.6f,"
    "\"msgs_per_s\":%.1f,\"latency_us\":{\"min\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu,\"mean\":%.1f,\"count\":%llu},"
    "\"missing\":%llu,\"missing_conns\":%d,\"duplicate\":%llu,\"duplicate_conns\":%d,\"out_of_order\":%llu,\"min_per_conn\":%llu,\"max_per_conn\":%llu,"
    "\"no_timestamp\":%llu,\"compressed\":%llu,\"deflate_refused\":%d,\"client_cpu_s\":%.3f,\"first_sent_us\":%llu,\"last_recv_us\":%llu}\n",
    N, open_end, n_failed, n_closed, (unsigned long long)total, (unsigned long long)total_uniq, (unsigned long long)frames,
    (unsigned long long)reads_, (unsigned long long)bytes_in, (unsigned long long)payload_bytes,
    (double)(t_ready - t_start) * 1e-6, el, span, span > 0 ? (double)total / span : 0,
    (unsigned long long)H.min, (unsigned long long)hist_q(&H, .5), (unsigned long long)hist_q(&H, .9), (unsigned long long)hist_q(&H, .99),
    (unsigned long long)hist_q(&H, .999), (unsigned long long)H.max, H.n ? H.sum / (double)H.n : 0, (unsigned long long)H.n,
    (unsigned long long)miss, miss_c, (unsigned long long)dups, dup_c, (unsigned long long)total_ooo, (unsigned long long)mn, (unsigned long long)mx,
    (unsigned long long)bad_ts, (unsigned long long)compressed, deflate_refused, cpu, (unsigned long long)(s_first == UINT64_MAX ? 0 : s_first), (unsigned long long)t_last);
  return 0;
}
