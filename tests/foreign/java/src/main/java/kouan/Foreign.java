package kouan;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.message.Encoding;
import io.cloudevents.jackson.JsonFormat;
import io.cloudevents.kafka.CloudEventDeserializer;
import io.cloudevents.kafka.CloudEventSerializer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What a Java team writes: the envelope and Kafka's serializers by io.cloudevents, Kafka by its own client.
 *
 * <pre>
 * publish &lt;bootstrap servers&gt; &lt;topic&gt;   stdin: {"mode": "binary" | "structured", "event": {…}} a line
 * read &lt;bootstrap servers&gt; &lt;topic&gt;      stdout: one CloudEvent in JSON a line, all that stands there now
 * </pre>
 */
public final class Foreign {
    private static final JsonFormat FORMAT = new JsonFormat();

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[1];
        String topic = arguments[2];
        switch (arguments[0]) {
            case "publish" -> publish(servers, topic);
            case "read" -> read(servers, topic);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void publish(String servers, String topic) throws Exception {
        Map<Encoding, List<CloudEvent>> events = new HashMap<>();
        ObjectMapper json = new ObjectMapper();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode given = json.readTree(line);
            Encoding mode = Encoding.valueOf(given.get("mode").asText().toUpperCase());
            CloudEvent event = FORMAT.deserialize(json.writeValueAsBytes(given.get("event")));
            events.computeIfAbsent(mode, any -> new ArrayList<>()).add(event);
        }
        for (var group : events.entrySet()) {
            publish(servers, topic, group.getKey(), group.getValue());
        }
    }

    private static void publish(String servers, String topic, Encoding mode, List<CloudEvent> events) throws Exception {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(CloudEventSerializer.ENCODING_CONFIG, mode.name());
        settings.put(CloudEventSerializer.EVENT_FORMAT_CONFIG, JsonFormat.CONTENT_TYPE);
        var values = new CloudEventSerializer();
        values.configure(settings, false);
        try (var producer = new KafkaProducer<String, CloudEvent>(settings, new StringSerializer(), values)) {
            List<Future<RecordMetadata>> confirmations = new ArrayList<>();
            for (CloudEvent event : events) {
                confirmations.add(producer.send(new ProducerRecord<>(topic, event.getSubject(), event)));
            }
            for (Future<RecordMetadata> confirmation : confirmations) {
                confirmation.get();
            }
        }
    }

    private static void read(String servers, String topic) throws IOException {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, "foreign-java-" + UUID.randomUUID());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        try (var consumer =
                new KafkaConsumer<String, CloudEvent>(settings, new StringDeserializer(), new CloudEventDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(each -> new TopicPartition(each.topic(), each.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    out.println(new String(FORMAT.serialize(record.value()), StandardCharsets.UTF_8));
                }
            }
        }
    }
}
