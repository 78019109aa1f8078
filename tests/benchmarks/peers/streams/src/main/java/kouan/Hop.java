package kouan;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The hop in Kafka Streams, exactly once: validate, drop repeats, keep one row, emit one event with full headers.
 *
 * <p>Arguments: bootstrap servers, topic read, topic written (also the application id), how many records to read, how
 * many of them to warm up with, folder for the state. Prints events/s from the end of the warm-up to the last commit.
 */
public final class Hop {
    enum Size { micro, small, medium, large }

    enum Ownership { @JsonProperty("private") private_, state, foreign }

    record Enterprise(
            @JsonProperty(required = true) String uscc,
            @JsonProperty(required = true) String name,
            @JsonProperty(required = true) Size size,
            @JsonProperty(required = true) Ownership ownership) {}

    record Submitted(
            @JsonProperty(value = "referral_id", required = true) String referralId,
            @JsonProperty(value = "occurred_at", required = true) OffsetDateTime occurredAt,
            @JsonProperty(required = true) Enterprise enterprise,
            @JsonProperty(required = true) String zone,
            @JsonProperty(value = "key_area", required = true) String keyArea,
            @JsonProperty(value = "amount_cny", required = true) BigDecimal amountCny,
            @JsonProperty(value = "term_months", required = true) int termMonths,
            @JsonProperty(required = true) String purpose) {}

    record Scored(
            @JsonProperty("referral_id") String referralId,
            boolean eligible,
            int score,
            @JsonProperty("amount_cny") String amountCny,
            String zone) {}

    private static final ObjectMapper JSON = new ObjectMapper()
            .registerModule(new JavaTimeModule())
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES);

    private static final byte[] YES = {1};

    private static final CountDownLatch ALL_READ = new CountDownLatch(1);
    private static volatile long started;

    /** One stream thread reads all, so that plain counters do. */
    static final class Score implements Processor<byte[], byte[], byte[], byte[]> {
        private static long read;
        private final long total;
        private final long warm;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, byte[]> seen;
        private KeyValueStore<byte[], byte[]> scored;

        Score(long total, long warm) {
            this.total = total;
            this.warm = warm;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            seen = context.getStateStore("seen");
            scored = context.getStateStore("scored");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (read++ == warm) {
                started = System.nanoTime();
            }
            Headers in = record.headers();
            String identity = text(in, "ce_source") + '\n' + text(in, "ce_id");
            if (seen.putIfAbsent(identity, YES) == null) {
                byte[] value = decide(record.value());
                scored.put(record.key(), value);
                context.forward(record.withValue(value).withHeaders(headers(in, record.key())));
            }
            if (read == total) {
                ALL_READ.countDown();
            }
        }

        private static byte[] decide(byte[] value) {
            try {
                Submitted data = JSON.readValue(value, Submitted.class);
                return JSON.writeValueAsBytes(new Scored(
                        data.referralId,
                        data.amountCny.signum() > 0,
                        data.termMonths,
                        data.amountCny.toPlainString(),
                        data.zone));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        private static Headers headers(Headers in, byte[] key) {
            byte[] id = in.lastHeader("ce_id").value();
            return new RecordHeaders()
                    .add("ce_specversion", bytes("1.0"))
                    .add("ce_id", id)
                    .add("ce_source", bytes("//kouan/streams"))
                    .add("ce_type", bytes("hop.scored.v1"))
                    .add("ce_time", in.lastHeader("ce_time").value())
                    .add("ce_subject", key)
                    .add("content-type", bytes("application/json"))
                    .add("ce_correlationid", key)
                    .add("ce_causationid", id)
                    .add("traceparent", in.lastHeader("traceparent").value());
        }

        private static String text(Headers headers, String name) {
            return new String(headers.lastHeader(name).value(), StandardCharsets.UTF_8);
        }

        private static byte[] bytes(String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] args) throws Exception {
        String servers = args[0], source = args[1], target = args[2], folder = args[5];
        long total = Long.parseLong(args[3]), warm = Long.parseLong(args[4]);

        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, target);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");

        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.ByteArray()));
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("scored"), Serdes.ByteArray(), Serdes.ByteArray()));
        builder.stream(source, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .process(() -> new Score(total, warm), "seen", "scored")
                .to(target, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));

        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings);
                Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            ALL_READ.await();
            // Positions are committed in the transaction of the outputs: when all are there, so are the outputs.
            while (committed(admin, target) < total) {
                Thread.sleep(2);
            }
            System.out.printf("%.0f%n", (total - warm) / ((System.nanoTime() - started) / 1e9));
        }
    }

    private static long committed(Admin admin, String group) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream()
                .filter(position -> position != null)
                .mapToLong(position -> position.offset())
                .sum();
    }
}
