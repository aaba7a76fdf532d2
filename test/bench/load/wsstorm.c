/* wsstorm - what a reconnect storm costs and loses (Socket.IO over WebSocket; one thread, epoll).
 *
 * N clients connect, authenticate and subscribe. On a schedule each one's TCP connection is cut
 * with a reset, no close frame; --offline seconds later it connects again and resumes:
 *   --resume cursor  subscribes with the cursor of the last event's meta ({since} in --sub)
 *   --resume csr     Socket.IO connection state recovery (pid and offset in the CONNECT packet)
 *   --resume none    subscribes anew
 * With --restart nothing is cut: it waits for the servers behind its ports to go away.
 * Every first receipt of every event by every client is kept, so missing, repeated and late
 * events are exact over the whole run. Prints READY n, then one JSON line.
 *
 *   cc -O2 -o wsstorm wsstorm.c -lm
 */
#define _GNU_SOURCE
#include "wscommon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef unsigned long long ull;
enum { ST_DOWN, ST_CONNECT, ST_HTTP, ST_OPEN, ST_AUTH, ST_SUB, ST_READY };
enum { R_CONNECT, R_HTTP, R_CLOSED, R_AUTH, R_SUB, R_TIMEOUT, R_N };          /* why an attempt failed */
static const char *r_name[R_N] = {"connect", "http", "closed", "connect_error", "subscribe", "timeout"};
enum { K_CUT, K_SERVER, K_DRAIN };                                            /* why an episode began */
enum { M_NONE, M_CSR, M_CURSOR };

typedef struct {
  int fd, old_fd, epi;
  uint8_t st, was_ready;
  uint16_t port_i, tries;
  uint8_t *rb; size_t rn, rcap;
  uint8_t *wb; size_t wn, wcap;
  uint64_t last, cut_at, drain_at, last_cut, hi;
  uint32_t uniq, dup, ooo;
  char cursor[96], pid[64], off[96], accept[32];
} conn;
/* One time without a connection: cut, first attempt to return, ready again (0: never). */
typedef struct { uint32_t c; int32_t next; uint8_t kind, resumed; uint16_t tries; uint64_t cut, up, ready; } episode;

static const char *host = "127.0.0.1", *path = "/socket.io/?EIO=4&transport=websocket", *auth = "{}", *sub;
static const char *marker = "\"n\":", *tsmark = "\"t\":", *dump_file;
static const char *headers[16]; static int nheaders, ports[16], nports;
static int N = 1, par = 64, resume_mode, drop_each, no_drop, restart_mode, hop, vanish, quiet, cycles = 1, noack;
static uint64_t E, first_n;
static double offline_s = 2, every_s = 15, jitter = 0.33, at_s = 5, until_s = 1e9, spread_s, timeout_s = 120, idle_s = 15, settle_s = 3,
  ready_timeout = 60, attempt_s = 20, silence_s = 45, back_lo = 0.2, back_hi = 5;
static conn *C; static uint64_t *due, next_due = UINT64_MAX; static int ep, n_ready, n_started, n_first, n_flight;
static episode *EP; static int n_ep, cap_ep;
static uint32_t *rx; static uint64_t *T, base, t_ready, t_last, storm_at;
static uint64_t uniq, dups, ooo, strange, attempts, refusals[R_N], server_closes, cuts, drains, gaps, lagging, cursors_seen, csr_ok, csr_no, ack_recovered, ack_not, no_cursor, bytes_in, frames, max_loop, max_late;
static hist H, HL;
static volatile sig_atomic_t stop; static volatile uint64_t *prog;
static uint8_t *big; static const size_t BIG = 8u << 20, RD = 256u << 10;
static uint64_t rnd = 88172645463325252ull;
static uint32_t rnd32(void) { rnd ^= rnd << 13; rnd ^= rnd >> 7; rnd ^= rnd << 17; return (uint32_t)(rnd >> 16); }
static double unit(void) { return (double)rnd32() / 4294967296.0; }
static uint64_t us(double s) { return s > 1e12 ? UINT64_MAX / 4 : (uint64_t)(s * 1e6); }
static void on_sig(int s) { (void)s; stop = 1; }
static double cpu_wait(void) { /* seconds this process was ready to run and had no CPU */
  double run = 0, wait = 0; FILE *f = fopen("/proc/self/schedstat", "r");
  if (f) { if (fscanf(f, "%lf %lf", &run, &wait) != 2) wait = 0; fclose(f); }
  return wait * 1e-9;
}
static double wait0;

static void set_due(conn *c, uint64_t t) { due[c - C] = t; if (t < next_due) next_due = t; }
static void due_ready(conn *c) {
  uint64_t d = c->last + us(silence_s);
  if (c->cut_at && c->cut_at < d) d = c->cut_at;
  if (c->drain_at && c->drain_at < d) d = c->drain_at;
  set_due(c, d);
}
/* Full jitter: anywhere between the floor and a ceiling that doubles with every refusal. */
static uint64_t backoff(int k) {
  double top = back_lo * pow(2, k + 1 > 20 ? 20 : k + 1);
  if (top > back_hi) top = back_hi;
  return us(back_lo + unit() * (top - back_lo));
}
static void next_port(conn *c) { c->port_i = (uint16_t)((c->port_i + 1) % nports); }
static void reset_close(int fd) { struct linger l = {1, 0}; setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); close(fd); }
static void begin_episode(conn *c, int kind, uint64_t now) {
  if (n_ep == cap_ep) { cap_ep = cap_ep * 2 + 1024; EP = realloc(EP, sizeof *EP * (size_t)cap_ep); }
  EP[n_ep] = (episode){.c = (uint32_t)(c - C), .next = -1, .kind = (uint8_t)kind, .cut = now, .up = now};
  c->epi = n_ep++; c->tries = 0; n_ready--; c->st = ST_DOWN; c->rn = c->wn = 0;
}
/* The connection is gone without our doing: back off, the next port. */
static void lost(conn *c, int why, const char *text) {
  if (c->st == ST_DOWN) return;
  uint64_t now = now_us();
  if (!quiet && !stop) fprintf(stderr, "client %ld port %d state %d: %s\n", (long)(c - C), ports[c->port_i], c->st, text);
  close(c->fd); c->fd = -1;
  if (c->st == ST_READY) {
    server_closes++; begin_episode(c, K_SERVER, now); c->cut_at = 0;
    uint64_t at = now + backoff(0);
    if (c->drain_at) at = c->drain_at > now ? c->drain_at : now;
    c->drain_at = 0; set_due(c, at);
  } else {
    refusals[why]++; n_flight--; c->st = ST_DOWN; c->rn = c->wn = 0;
    if (c->tries < 60000) c->tries++;
    set_due(c, now + backoff(c->tries));
  }
  next_port(c);
}
static void ep_set(conn *c, uint32_t ev, int op) { struct epoll_event e = {.events = ev, .data.ptr = c}; epoll_ctl(ep, op, c->fd, &e); }
static void out(conn *c, const void *p, size_t n) {
  if (c->wn == 0) {
    ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL);
    if (r == (ssize_t)n) return;
    if (r < 0) { if (errno != EAGAIN) return; r = 0; } /* an error shows on the next read */
    p = (const char *)p + r; n -= (size_t)r;
    ep_set(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  }
  if (c->wn + n > c->wcap) { c->wcap = (c->wn + n) * 2; c->wb = realloc(c->wb, c->wcap); }
  memcpy(c->wb + c->wn, p, n); c->wn += n;
}
static void frame_out(conn *c, int op, const void *p, size_t n) {
  uint8_t b[16384]; size_t o = 0;
  if (n > sizeof b - 14) { fprintf(stderr, "frame too long\n"); exit(2); }
  b[o++] = (uint8_t)(0x80 | op);
  if (n < 126) b[o++] = (uint8_t)(0x80 | n);
  else { b[o++] = 0x80 | 126; b[o++] = (uint8_t)(n >> 8); b[o++] = (uint8_t)n; }
  uint32_t k = rnd32(); uint8_t m[4]; memcpy(m, &k, 4); memcpy(b + o, m, 4); o += 4;
  for (size_t i = 0; i < n; i++) b[o + i] = ((const uint8_t *)p)[i] ^ m[i & 3];
  out(c, b, o + n);
}
/* Copies a template with {i} and {since} filled in. */
static char **tokens; static long n_tokens;
static size_t expand(conn *c, const char *t, char *o, size_t cap) {
  size_t n = 0;
  while (*t && n + 256 < cap) {
    if (n_tokens && !strncmp(t, "{token}", 7)) { const char *w = tokens[(c - C) % n_tokens]; size_t l = strlen(w); if (n + l + 1 >= cap) break; memcpy(o + n, w, l); n += l; t += 7; }
    else if (!strncmp(t, "{i}", 3)) { n += (size_t)sprintf(o + n, "%ld", (long)(c - C)); t += 3; }
    else if (!strncmp(t, "{since}", 7)) { if (resume_mode == M_CURSOR && c->cursor[0]) n += (size_t)sprintf(o + n, ",\"since\":\"%s\"", c->cursor); t += 7; }
    else o[n++] = *t++;
  }
  o[n] = 0; return n;
}
static int json_str(const uint8_t *p, size_t n, const char *key, char *o, size_t cap) { /* first "key":"..." */
  const uint8_t *s = memmem(p, n, key, strlen(key));
  if (!s) return 0;
  s += strlen(key); const uint8_t *e = memchr(s, '"', (size_t)(p + n - s));
  if (!e || (size_t)(e - s) >= cap) return 0;
  memcpy(o, s, (size_t)(e - s)); o[e - s] = 0; return 1;
}
static int last_cursor(const uint8_t *p, size_t n, char *o, size_t cap) { /* the last one: meta follows the event */
  static const char k[] = "\"cursor\":\"";
  if (n < sizeof k) return 0;
  for (const uint8_t *s = p + n - (sizeof k - 1); s > p; s--) if (*s == '"' && !memcmp(s, k, sizeof k - 1)) return json_str(s, (size_t)(p + n - s), k, o, cap);
  return 0;
}
static void ready(conn *c, uint64_t now, int resumed) {
  c->st = ST_READY; n_ready++; n_flight--; c->tries = 0; c->drain_at = 0;
  if (c->epi >= 0) { EP[c->epi].ready = now; EP[c->epi].resumed = (uint8_t)resumed; c->epi = -1; }
  if (!c->was_ready) { c->was_ready = 1; n_first++; }
  if (c->old_fd >= 0) { reset_close(c->old_fd); c->old_fd = -1; }
  if (drop_each && storm_at && !no_drop) {
    c->cut_at = c->last_cut ? c->last_cut + us(every_s * (1 + jitter * unit())) : now + us(every_s * unit());
    if (c->cut_at < now + 500000) c->cut_at = now + 500000;
    if (c->cut_at > storm_at + us(until_s)) c->cut_at = 0;
  }
  due_ready(c);
}
static void subscribe(conn *c, uint64_t now) {
  char b[8192], m[8300];
  if (!sub) { ready(c, now, 0); return; }
  expand(c, sub, b, sizeof b); c->st = ST_SUB;
  frame_out(c, 1, m, (size_t)snprintf(m, sizeof m, noack ? "42%s" : "421%s", b));
  if (noack) ready(c, now, 0);
}
static void count(conn *c, uint64_t n, uint64_t t, uint64_t now) {
  uint64_t k = n - first_n;
  if (k >= E) { strange++; return; }
  if (!T[k]) T[k] = t;
  uint32_t *r = &rx[(size_t)(c - C) * E + k];
  if (*r) { c->dup++; dups++; return; }
  *r = (uint32_t)(now - base); c->uniq++; uniq++; t_last = now;
  if (k < c->hi) { c->ooo++; ooo++; } else c->hi = k + 1;
  if (t) hist_add(&H, now > t ? now - t : 0);
}
static uint64_t number(const uint8_t *p, const uint8_t *e) { uint64_t v = 0; while (p < e && *p >= '0' && *p <= '9') v = v * 10 + (uint64_t)(*p++ - '0'); return v; }
static void event(conn *c, const uint8_t *p, size_t n, uint64_t now) {
  const uint8_t *e = p + n, *q;
  if (n > 10 && !memcmp(p + 2, "[\"relay.", 8)) {
    const uint8_t *x = p + 10; size_t l = n - 10;
    if (l > 7 && !memcmp(x, "cursor\"", 7)) { if (last_cursor(p, n, c->cursor, sizeof c->cursor)) cursors_seen++; }
    else if (l > 4 && !memcmp(x, "gap\"", 4)) gaps++;
    else if (l > 8 && !memcmp(x, "lagging\"", 8)) lagging++;
    else if (l > 9 && !memcmp(x, "draining\"", 9)) {
      drains++; q = memmem(p, n, "\"reconnect_after_ms\":", 21);
      c->drain_at = now + (q ? number(q + 21, e) * 1000 : 0);
      if (c->st == ST_READY) due_ready(c);
    }
    return;
  }
  q = memmem(p, n, marker, strlen(marker));
  if (q) {
    q += strlen(marker); uint64_t k = number(q, e);
    const uint8_t *s = memmem(q, (size_t)(e - q), tsmark, strlen(tsmark));
    count(c, k, s ? number(s + strlen(tsmark), e) : 0, now);
  }
  if (resume_mode == M_CURSOR) { if (!last_cursor(p, n, c->cursor, sizeof c->cursor)) no_cursor++; }
  else if (resume_mode == M_CSR && n > 6 && p[n - 1] == ']' && p[n - 2] == '"' && c->pid[0]) { /* the offset is the last argument */
    const uint8_t *a = memrchr(p, '"', n - 2);
    if (a && a[-1] == ',' && (size_t)(p + n - 2 - a) <= sizeof c->off) { size_t l = (size_t)(p + n - 3 - a); memcpy(c->off, a + 1, l); c->off[l] = 0; }
  }
}
static void packet(conn *c, const uint8_t *p, size_t n, uint64_t now) {
  char b[8192], m[8192];
  if (!n) return;
  if (p[0] == '2' && n == 1) { frame_out(c, 1, "3", 1); return; }
  if (p[0] == '0' && c->st == ST_OPEN) {
    size_t l = expand(c, auth, b, sizeof b); c->st = ST_AUTH; set_due(c, now + us(attempt_s + 25)); /* Socket.IO's own connectTimeout ends the rest */
    if (resume_mode == M_CSR && c->pid[0] && l >= 2) { /* pid and offset go in front, as socket.io-client does it */
      int o = snprintf(m, sizeof m, "40{\"pid\":\"%s\"", c->pid);
      if (c->off[0]) o += snprintf(m + o, sizeof m - (size_t)o, ",\"offset\":\"%s\"", c->off);
      o += snprintf(m + o, sizeof m - (size_t)o, "%s%s", b[1] == '}' ? "" : ",", b + 1);
      frame_out(c, 1, m, (size_t)o);
    } else frame_out(c, 1, m, (size_t)snprintf(m, sizeof m, "40%s", b));
    return;
  }
  if (p[0] == '1') { lost(c, R_CLOSED, "engine close"); return; }
  if (p[0] != '4' || n < 2) return;
  if (p[1] == '2') { event(c, p, n, now); return; }
  if (p[1] == '0' && c->st == ST_AUTH) {
    char pid[64] = "";
    json_str(p, n, "\"pid\":\"", pid, sizeof pid);
    int same = resume_mode == M_CSR && pid[0] && !strcmp(pid, c->pid);
    if (resume_mode == M_CSR) { if (c->pid[0]) { if (same) csr_ok++; else csr_no++; } strcpy(c->pid, pid); }
    if (same) ready(c, now, 1); else subscribe(c, now);
  } else if (p[1] == '4') lost(c, R_AUTH, "connect error");
  else if (p[1] == '1') lost(c, R_CLOSED, "disconnect packet");
  else if (p[1] == '3' && c->st == ST_SUB && n > 3 && p[2] == '1' && p[3] == '[') {
    if (memmem(p, n, "\"ok\":false", 10)) { lost(c, R_SUB, "subscribe refused"); return; }
    int rec = memmem(p, n, "\"recovered\":true", 16) != NULL;
    if (c->was_ready && resume_mode == M_CURSOR) { if (rec) ack_recovered++; else ack_not++; }
    if (memmem(p, n, "\"gap\":{", 7)) gaps++;
    if (!c->cursor[0]) last_cursor(p, n, c->cursor, sizeof c->cursor); /* a first subscription starts here */
    ready(c, now, rec);
  }
}
static size_t parse(conn *c, uint8_t *b, size_t n, uint64_t now) {
  size_t o = 0;
  if (c->st == ST_HTTP) {
    uint8_t *e = memmem(b, n, "\r\n\r\n", 4);
    if (!e) return 0;
    if (n < 12 || memcmp(b, "HTTP/1.1 101", 12)) { lost(c, R_HTTP, "handshake refused"); return n; }
    if (!memmem(b, (size_t)(e - b), c->accept, strlen(c->accept))) { lost(c, R_HTTP, "wrong Sec-WebSocket-Accept"); return n; }
    o = (size_t)(e - b) + 4; c->st = ST_OPEN;
  }
  while (n - o >= 2 && c->st != ST_DOWN) {
    uint8_t *p = b + o; size_t h = 2; uint64_t len = p[1] & 127;
    if (p[1] & 128) { lost(c, R_CLOSED, "masked server frame"); return n; }
    if (len == 126) { if (n - o < 4) break; len = (uint64_t)p[2] << 8 | p[3]; h = 4; }
    else if (len == 127) { if (n - o < 10) break; len = 0; for (int i = 0; i < 8; i++) len = len << 8 | p[2 + i]; h = 10; }
    if (len > BIG - RD) { lost(c, R_CLOSED, "frame too long"); return n; }
    if (n - o < h + len) break;
    int op = p[0] & 15; frames++;
    if (op == 8) { lost(c, R_CLOSED, "close frame"); return n; }
    if (op == 9) frame_out(c, 10, p + h, (size_t)len < 125 ? (size_t)len : 125);
    else if (op == 1) packet(c, p + h, (size_t)len, now);
    o += h + (size_t)len;
  }
  return o;
}
static void on_read(conn *c) {
  if (c->rn) memcpy(big, c->rb, c->rn);
  ssize_t r = recv(c->fd, big + c->rn, RD, 0);
  if (r <= 0) { if (r < 0 && errno == EAGAIN) return; lost(c, c->st == ST_CONNECT ? R_CONNECT : R_CLOSED, r ? strerror(errno) : "end of stream"); return; }
  bytes_in += (uint64_t)r;
  uint64_t now = now_us(); c->last = now;
  size_t n = c->rn + (size_t)r, used = parse(c, big, n, now);
  if (c->st == ST_DOWN) { c->rn = 0; return; }
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
    if (e) { lost(c, R_CONNECT, strerror(e)); return; }
    c->st = ST_HTTP;
    uint8_t k[16]; char key[32], req[8192];
    for (int i = 0; i < 4; i++) { uint32_t v = rnd32(); memcpy(k + 4 * i, &v, 4); }
    base64(k, 16, key); ws_accept(key, strlen(key), c->accept);
    int n = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", path, host, ports[c->port_i], key);
    for (int i = 0; i < nheaders; i++) n += snprintf(req + n, sizeof req - (size_t)n, "%s\r\n", headers[i]);
    n += snprintf(req + n, sizeof req - (size_t)n, "\r\n");
    ep_set(c, EPOLLIN, EPOLL_CTL_MOD);
    out(c, req, (size_t)n);
    return;
  }
  if (c->wn) {
    ssize_t r = send(c->fd, c->wb, c->wn, MSG_NOSIGNAL);
    if (r < 0) { if (errno != EAGAIN) c->wn = 0; else return; }
    else { memmove(c->wb, c->wb + r, c->wn - (size_t)r); c->wn -= (size_t)r; }
  }
  if (!c->wn) ep_set(c, EPOLLIN, EPOLL_CTL_MOD);
}
static void dial(conn *c) {
  uint64_t now = now_us();
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)ports[c->port_i])};
  inet_pton(AF_INET, host, &a.sin_addr);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) { perror("socket"); exit(2); }
  int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (c->epi >= 0) {
    episode *e = &EP[c->epi]; attempts++;
    if (!e->tries && e->kind == K_CUT) { if (now > e->up && now - e->up > max_late) max_late = now - e->up; e->up = now; }
    if (e->tries < 65535) e->tries++;
  }
  c->st = ST_CONNECT; c->last = now; n_flight++; set_due(c, now + us(attempt_s));
  if (connect(c->fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) { lost(c, R_CONNECT, strerror(errno)); return; }
  ep_set(c, EPOLLOUT, EPOLL_CTL_ADD);
}
static void cut(conn *c) {
  uint64_t now = now_us();
  if (vanish) { /* the server is told nothing: the old connection stays, unread, until the client is back */
    epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->old_fd >= 0) reset_close(c->old_fd);
    c->old_fd = c->fd;
  } else reset_close(c->fd);
  c->fd = -1; cuts++; begin_episode(c, K_CUT, now);
  c->last_cut = now; c->cut_at = 0; EP[c->epi].up = now + us(offline_s + spread_s * unit());
  if (hop) next_port(c);
  set_due(c, EP[c->epi].up);
}
static void timer(conn *c, uint64_t now) {
  if (c->st == ST_DOWN) { dial(c); return; }
  if (c->st != ST_READY) { lost(c, R_TIMEOUT, "attempt timed out"); return; }
  if (c->drain_at && c->drain_at <= now) { /* told to move: leave politely, go to the next server at once */
    frame_out(c, 8, "\x03\xe9", 2); close(c->fd); c->fd = -1; c->drain_at = 0; c->cut_at = 0;
    begin_episode(c, K_DRAIN, now_us()); next_port(c); dial(c); return;
  }
  if (c->cut_at && c->cut_at <= now) { cut(c); return; }
  if (now >= c->last + us(silence_s)) { lost(c, R_CLOSED, "silent too long"); return; }
  due_ready(c);
}
static int cmp_d(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }
static char *num(double v, char *o) { if (isinf(v) || isnan(v)) strcpy(o, "null"); else sprintf(o, "%.2f", v); return o; }
/* Percentiles in ms over all episodes; one that never ended counts as infinite and prints null. */
static void dist(const char *name, double *v, size_t n) {
  char a[4][32]; size_t fin = 0;
  qsort(v, n, sizeof *v, cmp_d);
  for (size_t i = 0; i < n; i++) if (!isinf(v[i])) fin++;
  double q[3] = {.5, .95, .99};
  for (int i = 0; i < 3; i++) { size_t k = (size_t)ceil(q[i] * (double)n); num(n ? v[k ? k - 1 : 0] : NAN, a[i]); }
  printf(",\"%s\":{\"p50\":%s,\"p95\":%s,\"p99\":%s,\"max\":%s,\"max_of_done\":%s,\"count\":%zu,\"never\":%zu}", name, a[0], a[1], a[2],
    num(n ? v[n - 1] : NAN, a[3]), fin ? num(v[fin - 1], (char[32]){0}) : "null", n, n - fin);
}
static void report(double cpu) {
  /* When was an event sent that nobody received? Between its neighbours. */
  int64_t prev = -1; int known = 0; double step = 0; uint64_t lo = 0, hi = 0;
  for (uint64_t k = 0; k < E; k++) if (T[k]) { if (!known++) lo = k; hi = k; }
  if (hi > lo) step = ((double)T[hi] - (double)T[lo]) / (double)(hi - lo);
  uint64_t unseen = E - (uint64_t)known;
  if (known) for (uint64_t k = 0; k < E; k++) {
    if (!T[k]) continue;
    if (prev < 0) for (uint64_t j = 0; j < k; j++) T[j] = (uint64_t)((double)T[k] - step * (double)(k - j));
    else for (uint64_t j = (uint64_t)prev + 1; j < k; j++) T[j] = T[prev] + (T[k] - T[prev]) * (j - (uint64_t)prev) / (k - (uint64_t)prev);
    prev = (int64_t)k;
  }
  if (known) for (uint64_t j = (uint64_t)prev + 1; j < E; j++) T[j] = (uint64_t)((double)T[prev] + step * (double)(j - (uint64_t)prev));
  int32_t *head = malloc(sizeof *head * (size_t)N), *tail = malloc(sizeof *tail * (size_t)N);
  for (int i = 0; i < N; i++) head[i] = tail[i] = -1;
  for (int i = 0; i < n_ep; i++) { uint32_t c = EP[i].c; if (head[c] < 0) head[c] = i; else EP[tail[c]].next = i; tail[c] = i; }
  double *rec = malloc(sizeof(double) * (size_t)(n_ep + 1)), *bk = malloc(sizeof(double) * (size_t)(n_ep + 1)); size_t nr = 0;
  uint64_t m_off = 0, m_hand = 0, m_live = 0, owed = 0; int whole = 0, clean = 0, first_try = 0, miss_c = 0, dup_c = 0, ooo_c = 0, never = 0, lost_ep = 0, drain_ep = 0, dropped_c = 0, never_first = 0;
  FILE *df = dump_file ? fopen(dump_file, "w") : NULL;
  for (int i = 0; i < N; i++) {
    conn *c = &C[i]; uint32_t *r = rx + (size_t)i * E; uint64_t k = 0;
    if (!c->was_ready) never_first++;
    if (c->uniq < E) miss_c++;
    if (c->dup) dup_c++;
    if (c->ooo) ooo_c++;
    if (head[i] >= 0) dropped_c++;
    for (int32_t e = head[i]; e >= 0; e = EP[e].next) { /* events in the order sent, a cursor k over them */
      episode *x = &EP[e]; uint64_t done = 0, miss = 0, upto = x->kind == K_CUT ? x->up : x->ready ? x->ready : UINT64_MAX;
      for (; k < E && T[k] <= upto; k++) {
        uint64_t at = r[k] ? base + r[k] : 0;
        if (at && at <= x->cut) { hist_add(&HL, at > T[k] ? at - T[k] : 0); continue; }
        owed++;
        if (!at) miss++; else if (at > done) done = at;
      }
      m_off += miss;
      if (!x->ready) { rec[nr] = bk[nr] = INFINITY; never++; }
      else {
        bk[nr] = (double)(x->ready - x->up) / 1000;
        rec[nr] = miss ? INFINITY : (double)((done > x->ready ? done : x->ready) - x->up) / 1000;
        if (!miss) whole++;
        if (x->tries <= 1) first_try++;
      }
      if (df) fprintf(df, "{\"client\":%d,\"kind\":%d,\"cut_us\":%llu,\"up_us\":%llu,\"ready_us\":%llu,\"attempts\":%d,\"resumed\":%d,\"lost\":%llu,\"back_ms\":%.2f,\"recovery_ms\":%.2f}\n",
        i, x->kind, (ull)x->cut, (ull)x->up, (ull)x->ready, x->tries, x->resumed, (ull)miss, isinf(bk[nr]) ? -1 : bk[nr], isinf(rec[nr]) ? -1 : rec[nr]);
      nr++;
      if (x->kind == K_SERVER) lost_ep++;
      if (x->kind == K_DRAIN) drain_ep++;
      uint64_t hand = 0;
      for (; k < E && (!x->ready || T[k] <= x->ready); k++) if (!r[k]) hand++; /* sent while it was coming back */
      m_hand += hand;
      if (x->ready && !miss && !hand) clean++;
    }
    for (; k < E; k++) { if (!r[k]) m_live++; else hist_add(&HL, base + r[k] > T[k] ? base + r[k] - T[k] : 0); }
  }
  if (df) fclose(df);
  uint64_t expected = (uint64_t)N * E, refused = 0;
  for (int i = 0; i < R_N; i++) refused += refusals[i];
  printf("{\"mode\":\"%s\",\"resume\":\"%s\",\"drop\":\"%s\",\"clients\":%d,\"events\":%llu,\"offline_s\":%.2f,\"every_s\":%.2f,\"expected\":%llu,\"delivered\":%llu,\"share\":%.6f,"
    "\"missing\":%llu,\"missing_offline\":%llu,\"missing_handover\":%llu,\"missing_live\":%llu,\"missing_clients\":%d,\"unseen_by_all\":%llu,"
    "\"duplicate\":%llu,\"duplicate_clients\":%d,\"out_of_order\":%llu,\"out_of_order_clients\":%d,\"strange\":%llu,",
    restart_mode ? "restart" : "storm", resume_mode == M_CSR ? "csr" : resume_mode == M_CURSOR ? "cursor" : "none", no_drop ? "none" : drop_each ? (vanish ? "each-vanish" : "each") : (vanish ? "all-vanish" : "all"), N, (ull)E, offline_s, every_s,
    (ull)expected, (ull)uniq, expected ? (double)uniq / (double)expected : 0, (ull)(expected - uniq), (ull)m_off, (ull)m_hand, (ull)m_live, miss_c, (ull)unseen,
    (ull)dups, dup_c, (ull)ooo, ooo_c, (ull)strange);
  printf("\"cuts\":%llu,\"server_closes\":%llu,\"drain_moves\":%d,\"episodes\":%d,\"clients_dropped\":%d,\"whole\":%d,\"clean\":%d,\"owed\":%llu,\"never_back\":%d,\"never_connected\":%d,\"ready_at_end\":%d,"
    "\"attempts\":%llu,\"first_try\":%d,\"refused\":%llu,\"refusals\":{", (ull)cuts, (ull)server_closes, drain_ep, n_ep, dropped_c, whole, clean, (ull)owed, never, never_first, n_ready, (ull)attempts, first_try, (ull)refused);
  for (int i = 0; i < R_N; i++) printf("%s\"%s\":%llu", i ? "," : "", r_name[i], (ull)refusals[i]);
  printf("},\"csr_recovered\":%llu,\"csr_not\":%llu,\"ack_recovered\":%llu,\"ack_not\":%llu,\"gaps_signalled\":%llu,\"lagging\":%llu,\"draining\":%llu,\"relay_cursors\":%llu,\"no_cursor\":%llu",
    (ull)csr_ok, (ull)csr_no, (ull)ack_recovered, (ull)ack_not, (ull)gaps, (ull)lagging, (ull)drains, (ull)cursors_seen, (ull)no_cursor);
  dist("recovery_ms", rec, nr); dist("back_ms", bk, nr);
  hist *hs[2] = {&H, &HL}; const char *hn[2] = {"latency_ms", "live_ms"};
  for (int i = 0; i < 2; i++) printf(",\"%s\":{\"p50\":%.2f,\"p95\":%.2f,\"p99\":%.2f,\"max\":%.2f}", hn[i], (double)hist_q(hs[i], .5) / 1e3, (double)hist_q(hs[i], .95) / 1e3, (double)hist_q(hs[i], .99) / 1e3, (double)hs[i]->max / 1e3);
  printf(",\"bytes\":%llu,\"frames\":%llu,\"run_s\":%.3f,\"client_cpu_s\":%.3f,\"client_wait_s\":%.3f,\"client_stall_ms\":%.2f,\"client_late_ms\":%.2f}\n", (ull)bytes_in, (ull)frames, (double)(now_us() - t_ready) * 1e-6, cpu, cpu_wait() - wait0, (double)max_loop / 1e3, (double)max_late / 1e3);
}
static void usage(void) {
  fprintf(stderr,
    "wsstorm -p PORT[,PORT...] -n N -e EVENTS [options]\n"
    "  -H HOST (127.0.0.1)  -u PATH (Socket.IO's)  -c N first handshakes at once (64)  --first K number of the first event (0)\n"
    "  --header 'K: V'      --auth JSON sent with CONNECT ({}); {i} is the client's number, {token} its line of --tokens FILE\n"
    "  --sub JSON           emitted to subscribe, waits for its ack; {since} becomes ,\"since\":\"CURSOR\"   --noack\n"
    "  --resume cursor|csr|none (none)\n"
    "  --drop all|each|none (all)   --at S first cut after READY (5)   --every S (15)   --jitter F of it (0.33, each)\n"
    "  --cycles K cuts with all (1)  --until S no cut later than this after READY   --offline S (2)   --spread S (0)\n"
    "  --hop  come back on the next port   --vanish  no reset: the server is not told, the old socket lingers\n"
    "  --restart            cut nothing; wait for servers to go away\n"
    "  --backoff LO,HI      full jitter after a refusal (0.2,5)   --attempt S until Engine.IO opens, 25 s more for the rest (20)   --silence S (45)\n"
    "  --timeout S (120)  --idle S (15)  --settle S (3, once all is published and all are back)  --ready-timeout S (60)\n"
    "  --marker S (\"n\":)  --tsmark S (\"t\":)  --realtime  --progress F  --dump F one line per reconnect  -q\n");
  exit(2);
}
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char *a = argv[i];
#define ARG (++i < argc ? argv[i] : (usage(), (char *)0))
    if (!strcmp(a, "-p")) { for (char *s = strtok(strdup(ARG), ","); s && nports < 16; s = strtok(NULL, ",")) ports[nports++] = atoi(s); }
    else if (!strcmp(a, "-H")) host = ARG; else if (!strcmp(a, "-u")) path = ARG; else if (!strcmp(a, "-n")) N = atoi(ARG);
    else if (!strcmp(a, "-c")) par = atoi(ARG); else if (!strcmp(a, "-e")) E = strtoull(ARG, 0, 10); else if (!strcmp(a, "--first")) first_n = strtoull(ARG, 0, 10);
    else if (!strcmp(a, "--header")) { if (nheaders == 16) usage(); headers[nheaders++] = ARG; }
    else if (!strcmp(a, "--auth")) auth = ARG; else if (!strcmp(a, "--sub")) sub = ARG; else if (!strcmp(a, "--noack")) noack = 1;
    else if (!strcmp(a, "--tokens")) {
      FILE *f = fopen(ARG, "r"); char *line = NULL; size_t cap = 0; ssize_t l;
      if (!f) { perror("tokens"); return 2; }
      while ((l = getline(&line, &cap, f)) > 0) {
        if (line[l - 1] == '\n') line[--l] = 0;
        tokens = realloc(tokens, sizeof *tokens * (size_t)(n_tokens + 1)); tokens[n_tokens++] = strdup(line);
      }
      free(line); fclose(f);
    }
    else if (!strcmp(a, "--resume")) { char *m = ARG; resume_mode = !strcmp(m, "cursor") ? M_CURSOR : !strcmp(m, "csr") ? M_CSR : !strcmp(m, "none") ? M_NONE : (usage(), 0); }
    else if (!strcmp(a, "--drop")) { char *m = ARG; drop_each = !strcmp(m, "each"); no_drop = !strcmp(m, "none"); if (!drop_each && !no_drop && strcmp(m, "all")) usage(); }
    else if (!strcmp(a, "--at")) at_s = atof(ARG); else if (!strcmp(a, "--every")) every_s = atof(ARG); else if (!strcmp(a, "--jitter")) jitter = atof(ARG);
    else if (!strcmp(a, "--cycles")) cycles = atoi(ARG); else if (!strcmp(a, "--until")) until_s = atof(ARG); else if (!strcmp(a, "--offline")) offline_s = atof(ARG);
    else if (!strcmp(a, "--spread")) spread_s = atof(ARG); else if (!strcmp(a, "--hop")) hop = 1; else if (!strcmp(a, "--vanish")) vanish = 1;
    else if (!strcmp(a, "--restart")) restart_mode = no_drop = 1;
    else if (!strcmp(a, "--backoff")) { if (sscanf(ARG, "%lf,%lf", &back_lo, &back_hi) != 2) usage(); }
    else if (!strcmp(a, "--attempt")) attempt_s = atof(ARG); else if (!strcmp(a, "--silence")) silence_s = atof(ARG);
    else if (!strcmp(a, "--timeout")) timeout_s = atof(ARG); else if (!strcmp(a, "--idle")) idle_s = atof(ARG); else if (!strcmp(a, "--settle")) settle_s = atof(ARG);
    else if (!strcmp(a, "--ready-timeout")) ready_timeout = atof(ARG); else if (!strcmp(a, "--marker")) marker = ARG; else if (!strcmp(a, "--tsmark")) tsmark = ARG;
    else if (!strcmp(a, "--realtime")) g_clock = CLOCK_REALTIME; else if (!strcmp(a, "--dump")) dump_file = ARG; else if (!strcmp(a, "-q")) quiet = 1;
    else if (!strcmp(a, "--progress")) {
      int f = open(ARG, O_RDWR | O_CREAT, 0600);
      if (f < 0 || ftruncate(f, 4096)) { perror("progress"); return 2; }
      prog = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0); prog[0] = prog[1] = 0; close(f);
    } else usage();
  }
  if (!nports || N < 1 || !E) usage();
  struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
  if ((rlim_t)N * (vanish ? 2 : 1) + 16 > rl.rlim_cur) { fprintf(stderr, "fd limit %lu too low\n", (unsigned long)rl.rlim_cur); return 2; }
  signal(SIGINT, on_sig); signal(SIGTERM, on_sig); signal(SIGPIPE, SIG_IGN);
  ep = epoll_create1(0); C = calloc((size_t)N, sizeof *C); due = malloc(sizeof *due * (size_t)N); big = malloc(BIG);
  rx = calloc((size_t)N * E, sizeof *rx); T = calloc(E, sizeof *T);
  if (!C || !due || !rx || !T) { perror("memory"); return 2; }
  for (int i = 0; i < N; i++) { C[i].fd = C[i].old_fd = C[i].epi = -1; C[i].port_i = (uint16_t)(i % nports); due[i] = UINT64_MAX; }
  uint64_t t_start = now_us(), now, loop_at = 0; rnd ^= t_start; base = t_start - 1;
  struct rusage r0 = {0}, r1; struct epoll_event ev[512]; uint64_t next_all = 0, done_at = 0; int scan_from = 0;
  while (!stop) {
    while (n_started < N && n_flight < par) dial(&C[n_started++]);
    now = now_us();
    if (loop_at && t_ready && now - loop_at > max_loop) max_loop = now - loop_at;
    if (!t_ready && n_first == N) {
      t_ready = now; getrusage(RUSAGE_SELF, &r0); wait0 = cpu_wait(); printf("READY %d\n", n_ready); fflush(stdout);
      if (prog) prog[1] = (uint64_t)n_ready;
      storm_at = now; next_all = no_drop || drop_each ? 0 : now + us(at_s);
      if (drop_each && !no_drop) for (int i = 0; i < N; i++) { C[i].cut_at = now + us(at_s + every_s * unit()); if (C[i].cut_at > now + us(until_s)) C[i].cut_at = 0; if (C[i].st == ST_READY) due_ready(&C[i]); }
    }
    if (!t_ready && now - t_start > ready_timeout * 1e6) { fprintf(stderr, "not ready in time: %d of %d\n", n_first, N); return 3; }
    if (t_ready) {
      if (next_all && now >= next_all) {
        for (int i = 0; i < N; i++) if (C[i].st == ST_READY) cut(&C[i]);
        next_all = --cycles > 0 && next_all + us(every_s) <= storm_at + us(until_s) ? next_all + us(every_s) : 0;
      }
      if (uniq >= (uint64_t)N * E && n_ready == N) { if (!done_at) done_at = now; if (now - done_at >= 200000) break; } else done_at = 0;
      if (T[E - 1] && n_ready == N && now - t_last > us(settle_s)) break;
      if (t_last && now - t_last > us(idle_s)) break;
      if (now - t_ready > us(timeout_s)) break;
    }
    if (now >= next_due) { /* 64 actions at most, then back to the sockets */
      int acts = 0, last = scan_from; uint64_t min = UINT64_MAX;
      for (int j = 0; j < N; j++) {
        int i = scan_from + j; if (i >= N) i -= N;
        if (due[i] <= now && acts < 64) { due[i] = UINT64_MAX; acts++; last = i + 1; timer(&C[i], now); }
        if (due[i] < min) min = due[i];
      }
      next_due = min; scan_from = last >= N ? 0 : last; now = now_us();
    }
    uint64_t lim = 20000; int wait;
    if (next_due <= now) wait = 0; else { uint64_t d = next_due - now; wait = (int)((d < lim ? d : lim) / 1000); if (!wait) wait = 1; }
    if (next_all && next_all > now && (next_all - now) / 1000 < (uint64_t)wait) wait = (int)((next_all - now) / 1000);
    int k = epoll_wait(ep, ev, 512, wait);
    loop_at = now_us();
    for (int i = 0; i < k; i++) {
      conn *c = ev[i].data.ptr;
      if (c->st == ST_DOWN) continue;
      if (ev[i].events & EPOLLOUT) on_write(c);
      else if (c->st == ST_CONNECT && (ev[i].events & (EPOLLHUP | EPOLLERR))) on_write(c);
      if (c->st > ST_CONNECT && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) on_read(c);
    }
    if (prog) prog[0] = uniq;
  }
  stop = 1; getrusage(RUSAGE_SELF, &r1);
  report((double)(r1.ru_utime.tv_sec - r0.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_stime.tv_sec) +
    1e-6 * (double)(r1.ru_utime.tv_usec - r0.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_stime.tv_usec));
  return 0;
}
