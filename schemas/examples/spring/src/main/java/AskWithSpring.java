import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.TopicPartitionOffset;

/**
 * Ask questions through Kafka with Spring's ReplyingKafkaTemplate, and wait for the reply to each.
 *
 * <pre>
 * mvn -q compile
 * java -cp 'target/classes:target/dependency/*' AskWithSpring CONTEXT QUESTION...
 * </pre>
 *
 * Prints a line for each question: the answer event, or why there is none. Environment variables:
 * KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, REPLY_TOPIC, which the worker's QA_REPLY_TOPICS has to allow,
 * REPLY_PARTITION, with which replies go to that partition only, for programs that share a topic, and
 * REPLY_TIMEOUT_SECONDS.
 */
public final class AskWithSpring {
    private static final String SERVERS = setting("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
    private static final String QUESTIONS = setting("QA_QUESTIONS_TOPIC", "qa.questions");
    private static final String REPLIES = setting("REPLY_TOPIC", "replies-spring");
    private static final String PARTITION = setting("REPLY_PARTITION", "");
    private static final Duration TIMEOUT =
            Duration.ofSeconds(Long.parseLong(setting("REPLY_TIMEOUT_SECONDS", "30")));

    public static void main(String[] arguments) throws Exception {
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        var template = template();
        template.start();
        try {
            template.waitForAssignment(Duration.ofSeconds(30));
            for (int i = 1; i < arguments.length; i++) {
                String value = "{\"question\": " + json(arguments[i]) + ", \"context\": " + json(arguments[0]) + "}";
                // The template adds the headers kafka_replyTopic, kafka_replyPartition and kafka_correlationId.
                var reply = template.sendAndReceive(new ProducerRecord<>(QUESTIONS, "example", value), TIMEOUT);
                out.println(reply.handle((record, error) -> error == null ? record.value() : error.getMessage()).get());
            }
        } finally {
            template.stop();
            template.destroy();
        }
    }

    private static ReplyingKafkaTemplate<String, String, String> template() {
        var producers = new DefaultKafkaProducerFactory<>(
                Map.of("bootstrap.servers", SERVERS), new StringSerializer(), new StringSerializer());
        // The worker writes in transactions; without read_committed, a consumer may see replies of an aborted one.
        var consumers = new DefaultKafkaConsumerFactory<>(
                Map.of("bootstrap.servers", SERVERS, "isolation.level", "read_committed"),
                new StringDeserializer(),
                new StringDeserializer());
        var properties = PARTITION.isEmpty()
                ? new ContainerProperties(REPLIES)
                : new ContainerProperties(new TopicPartitionOffset(REPLIES, Integer.parseInt(PARTITION)));
        // Every program reads all replies of the topic, or of its partition, and ignores those of others.
        properties.setGroupId("ask-" + UUID.randomUUID());
        var template = new ReplyingKafkaTemplate<>(producers, new KafkaMessageListenerContainer<>(consumers, properties));
        template.setSharedReplyTopic(true);
        template.setReplyErrorChecker(AskWithSpring::rejection);
        template.afterPropertiesSet();
        return template;
    }

    /** The exception with which the future of a rejected question ends; null for an answer. */
    private static Exception rejection(ConsumerRecord<?, ?> reply) {
        return reply.headers().lastHeader("qa.reason") == null
                ? null
                : new IllegalArgumentException("rejected: " + reply.value());
    }

    private static String setting(String name, String defaultValue) {
        return System.getenv().getOrDefault(name, defaultValue);
    }

    /** The text as a JSON string. */
    private static String json(String text) {
        var quoted = new StringBuilder("\"");
        text.codePoints().forEach(c -> {
            if (c == '"' || c == '\\') {
                quoted.append('\\').appendCodePoint(c);
            } else if (c < ' ') {
                quoted.append(String.format("\\u%04x", c));
            } else {
                quoted.appendCodePoint(c);
            }
        });
        return quoted.append('"').toString();
    }
}
