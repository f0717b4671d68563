/* The least that a transactional producer does: begin, produce, commit, at a steady pace. For scripts/transaction-cost, which
 * holds our producer beside it. Prints one line for each transaction: nanoseconds from begin to commit answered, and of the
 * commit call alone. Arguments: bootstrap servers, topic, partitions, record bytes, records of a transaction, transactions,
 * milliseconds from one begin to the next. */
#define _GNU_SOURCE
#include <rdkafka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long failed;

static long long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client;
    (void)opaque;
    failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void check(rd_kafka_error_t *error, const char *act) {
    if (error) {
        fprintf(stderr, "%s: %s\n", act, rd_kafka_error_string(error));
        exit(1);
    }
}

static void set(rd_kafka_conf_t *settings, const char *key, const char *value) {
    char words[512];
    if (rd_kafka_conf_set(settings, key, value, words, sizeof words) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", words);
        exit(1);
    }
}

int main(int count, char **argument) {
    if (count != 8) {
        fprintf(stderr, "seven arguments: bootstrap topic partitions record-bytes records transactions pace-ms\n");
        return 2;
    }
    int partitions = atoi(argument[3]), bytes = atoi(argument[4]), records = atoi(argument[5]);
    long long pace_ns = atoll(argument[7]) * 1000000LL;
    int transactions = atoi(argument[6]), in_a_row = (records + partitions - 1) / partitions;
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    set(settings, "bootstrap.servers", argument[1]);
    set(settings, "transactional.id", argument[2]);
    set(settings, "linger.ms", "0");
    set(settings, "transaction.timeout.ms", "120000");
    set(settings, "message.timeout.ms", "120000");
    rd_kafka_conf_set_dr_msg_cb(settings, on_report);
    char words[512];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, settings, words, sizeof words);
    if (!client) {
        fprintf(stderr, "%s\n", words);
        return 1;
    }
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, argument[2], NULL);
    char *payload = calloc(1, bytes);
    long long *whole = malloc(sizeof *whole * transactions), *call = malloc(sizeof *call * transactions);
    check(rd_kafka_init_transactions(client, 30000), "init");
    /* As our sending thread does where it may. */
    struct sched_param lowest = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest);
    int partition = 0, row = 0;
    long long start_ns = now_ns();
    for (int index = 0; index < transactions; index++) {
        long long due_ns = start_ns + index * pace_ns;
        struct timespec due = {due_ns / 1000000000LL, due_ns % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        long long begun_ns = now_ns();
        check(rd_kafka_begin_transaction(client), "begin");
        for (int record = 0; record < records; record++) {
            if (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, payload, bytes, NULL, 0, NULL)) {
                fprintf(stderr, "produce: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
                return 1;
            }
            if (++row == in_a_row) {
                row = 0;
                partition = (partition + 1) % partitions;
            }
        }
        long long called_ns = now_ns();
        check(rd_kafka_commit_transaction(client, -1), "commit");
        long long answered_ns = now_ns();
        whole[index] = answered_ns - begun_ns;
        call[index] = answered_ns - called_ns;
    }
    if (failed) {
        fprintf(stderr, "%lld records failed\n", failed);
        return 1;
    }
    for (int index = 0; index < transactions; index++)
        printf("%lld %lld\n", whole[index], call[index]);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return 0;
}
