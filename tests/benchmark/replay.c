/* replay PORT CONNECTIONS FILE SECONDS
 *
 * Sends the requests of FILE to 127.0.0.1 on keep-alive connections, one at a time on each, and
 * reads the answers. With SECONDS 0 every request is sent once; otherwise they are sent in turn,
 * again and again, until the time is over. FILE: for each request its length (32 bits, of this
 * machine) and its bytes. Prints the seconds, the bytes of bodies, the connections that had to be
 * made anew, and then a status and its count a line.
 *
 * One thread and epoll: as a client it takes a fraction of what any of the servers takes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_LIMIT = 32768, BODY_PIECE = 262144, UNTIL_CLOSE = -1, CHUNKED = -2 };

struct request { const char *bytes; uint32_t length; };

struct connection {
    int fd, in_body, closes, waits_to_send;
    size_t request, sent, got;
    long long left;        /* of the body; or UNTIL_CLOSE, CHUNKED */
    char end[5];           /* the last bytes of a chunked body */
    char head[HEAD_LIMIT + 1];
};

static struct request *requests;
static size_t count, next_request;
static struct sockaddr_in address;
static int poller;
static double deadline;
static long statuses[1000], again;
static long long body_bytes;
static char piece[BODY_PIECE];

static void fail(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void load(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) < 0 || !status.st_size) fail(path);
    char *at = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) fail("mmap");
    for (char *end = at + status.st_size; at < end; count++) {
        requests = realloc(requests, (count + 1) * sizeof *requests);
        memcpy(&requests[count].length, at, 4);
        requests[count].bytes = at + 4;
        at += 4 + requests[count].length;
    }
}

static void listen_for(struct connection *one, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = one};
    if (epoll_ctl(poller, how, one->fd, &event) < 0) fail("epoll_ctl");
}

static void send_on(struct connection *one) {
    struct request *request = &requests[one->request];
    while (one->sent < request->length) {
        ssize_t went = send(one->fd, request->bytes + one->sent, request->length - one->sent, MSG_NOSIGNAL);
        if (went < 0) {
            /* A server that refuses early may have closed: its answer is still to be read. */
            if (errno != EAGAIN) break;
            if (!one->waits_to_send) listen_for(one, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            one->waits_to_send = 1;
            return;
        }
        one->sent += went;
    }
    if (one->waits_to_send) listen_for(one, EPOLLIN, EPOLL_CTL_MOD);
    one->waits_to_send = 0;
}

static void open_connection(struct connection *one) {
    int yes = 1;
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (one->fd < 0 || connect(one->fd, (void *)&address, sizeof address) < 0) fail("connect");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    one->waits_to_send = 0;
    listen_for(one, EPOLLIN, EPOLL_CTL_ADD);
}

static void begin(struct connection *one) {
    one->sent = one->got = one->in_body = one->closes = 0;
    memset(one->end, 0, 5);
    send_on(one);
}

/* Takes the next request; 0 when there is none. */
static int take(struct connection *one) {
    if (deadline ? now() >= deadline : next_request >= count) return 0;
    one->request = next_request++ % count;
    return 1;
}

/* Ends one answer; 0 when this connection has nothing more to do. */
static int finish(struct connection *one) {
    if (one->closes) close(one->fd), one->fd = -1;
    if (!take(one)) {
        if (one->fd >= 0) close(one->fd);
        return 0;
    }
    if (one->fd < 0) open_connection(one);
    begin(one);
    return 1;
}

static int lost(struct connection *one) {
    if (one->in_body && one->left == UNTIL_CLOSE) {
        one->closes = 1;
        return finish(one);
    }
    if (++again > 10000) fputs("the server closes every connection\n", stderr), exit(1);
    close(one->fd);
    open_connection(one);
    begin(one);
    return 1;
}

static void read_head(struct connection *one, char *end) {
    int status = atoi(one->head + 9);
    one->left = UNTIL_CLOSE;
    for (char *line = strstr(one->head, "\r\n"); line < end; line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, "content-length:", 15)) one->left = atoll(line + 17);
        if (!strncasecmp(line + 2, "transfer-encoding: chunked", 26)) one->left = CHUNKED;
        if (!strncasecmp(line + 2, "connection: close", 17)) one->closes = 1;
    }
    if (!strncmp(requests[one->request].bytes, "HEAD ", 5) || status == 204 || status == 304) one->left = 0;
    statuses[status % 1000]++;
    one->in_body = 1;
}

static void take_body(struct connection *one, const char *bytes, ssize_t length) {
    body_bytes += length;
    if (one->left >= 0) one->left -= length;
    for (ssize_t at = length > 5 ? length - 5 : 0; at < length; at++) {
        memmove(one->end, one->end + 1, 4);
        one->end[4] = bytes[at];
    }
    if (one->left == CHUNKED && !memcmp(one->end, "0\r\n\r\n", 5)) one->left = 0;
}

/* Reads what has come; 0 when this connection has nothing more to do. */
static int receive(struct connection *one) {
    if (one->in_body) {
        ssize_t got = recv(one->fd, piece, BODY_PIECE, 0);
        if (got < 0 && errno == EAGAIN) return 1;
        if (got <= 0) return lost(one);
        take_body(one, piece, got);
    } else {
        ssize_t got = recv(one->fd, one->head + one->got, HEAD_LIMIT - one->got, 0);
        if (got < 0 && errno == EAGAIN) return 1;
        if (got <= 0) return lost(one);
        one->got += got;
        one->head[one->got] = 0;
        char *end;
        while ((end = strstr(one->head, "\r\n\r\n")) && !strncmp(one->head + 9, "100", 3)) {
            one->got -= end + 4 - one->head;
            memmove(one->head, end + 4, one->got + 1);
        }
        if (!end) return 1;
        read_head(one, end);
        take_body(one, end + 4, one->head + one->got - end - 4);
    }
    return one->left == 0 ? finish(one) : 1;
}

int main(int argc, char **argv) {
    if (argc != 5) return fputs("replay PORT CONNECTIONS FILE SECONDS\n", stderr), 2;
    int connections = atoi(argv[2]), alive = 0;
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load(argv[3]);
    poller = epoll_create1(0);
    double start = now();
    if (atof(argv[4]) > 0) deadline = start + atof(argv[4]);
    for (int number = 0; number < connections; number++) {
        struct connection *one = calloc(1, sizeof *one);
        if (!take(one)) break;
        open_connection(one);
        begin(one);
        alive++;
    }
    while (alive) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 120000);
        if (ready <= 0) fail("nothing was answered for two minutes");
        for (int at = 0; at < ready; at++) {
            struct connection *one = events[at].data.ptr;
            if (events[at].events & EPOLLOUT) send_on(one);
            if (events[at].events & ~EPOLLOUT && !receive(one)) alive--;
        }
    }
    printf("%.6f %lld %ld\n", now() - start, body_bytes, again);
    for (int status = 0; status < 1000; status++)
        if (statuses[status]) printf("%d %ld\n", status, statuses[status]);
    return 0;
}
