package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.github.luben.zstd.ZstdOutputStream;
import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.BulkWriter;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The archive as one builds it on Flink: KafkaSource, a drop list, FileSink with a folder a write key, exactly once by
 * checkpoints. It compresses with zstd-1, and does not encrypt. It ends where the topic ended when it began.
 *
 * <p>Arguments: bootstrap topic endpoint accessKey secretKey path checkpointPath checkpointMillis parallelism dropped,…
 */
public final class Archive {
  private static final JsonFactory JSON = new JsonFactory();

  public static void main(String[] given) throws Exception {
    Configuration settings = new Configuration();
    settings.setString("s3.endpoint", given[2]);
    settings.setString("s3.path.style.access", "true");
    // S3A takes folders for objects and deletes them behind each write: some servers refuse, and it tries for ever
    settings.setString("s3.directory.marker.retention", "keep");
    settings.setString("s3.access-key", given[3]);
    settings.setString("s3.secret-key", given[4]);
    settings.setString("execution.checkpointing.dir", given[6]);
    settings.setString("execution.checkpointing.interval", given[7] + " ms");
    settings.setString("restart-strategy.type", "disable"); // a failure must end the run, not hide in it
    // bytes are immutable here, so that the objects need not be copied between operators
    settings.setString("pipeline.object-reuse", "true");
    FileSystem.initialize(settings, null);
    int parallelism = Integer.parseInt(given[8]);
    Set<String> dropped = Set.of(given[9].split(","));

    KafkaSource<Tuple2<String, byte[]>> source =
        KafkaSource.<Tuple2<String, byte[]>>builder()
            .setBootstrapServers(given[0])
            .setTopics(given[1])
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setBounded(OffsetsInitializer.latest())
            .setDeserializer(new Values())
            .build();
    FileSink<Tuple2<String, byte[]>> sink =
        FileSink.forBulkFormat(new Path(given[5]), out -> new Zstd(out)).withBucketAssigner(new ByKey()).build();
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
    environment
        .fromSource(source, WatermarkStrategy.noWatermarks(), "raw-events")
        .filter(event -> !dropped.contains(event.f0))
        .sinkTo(sink);
    environment.execute("archive");
  }

  /** Of the envelope, read no further than its key. */
  static String writeKey(byte[] value) {
    try (JsonParser parser = JSON.createParser(value)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        boolean found = "writeKey".equals(parser.currentName());
        parser.nextToken();
        if (found) {
          return parser.getText();
        }
        parser.skipChildren();
      }
    } catch (IOException error) {
      return "";
    }
    return "";
  }

  /** (write key, value as it is): decoded once. */
  static final class Values implements KafkaRecordDeserializationSchema<Tuple2<String, byte[]>> {
    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple2<String, byte[]>> out) {
      out.collect(Tuple2.of(writeKey(record.value()), record.value()));
    }

    @Override
    public TypeInformation<Tuple2<String, byte[]>> getProducedType() {
      return Types.TUPLE(Types.STRING, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    }
  }

  static final class ByKey implements BucketAssigner<Tuple2<String, byte[]>, String> {
    @Override
    public String getBucketId(Tuple2<String, byte[]> event, Context context) {
      return event.f0;
    }

    @Override
    public SimpleVersionedSerializer<String> getSerializer() {
      return SimpleVersionedStringSerializer.INSTANCE;
    }
  }

  /** NDJSON in one zstd frame a file. */
  static final class Zstd implements BulkWriter<Tuple2<String, byte[]>> {
    private final OutputStream out;

    Zstd(FSDataOutputStream file) throws IOException {
      ZstdOutputStream frame = new ZstdOutputStream(new Unclosed(file), 1);
      out = new BufferedOutputStream(frame, 65_536); // a call into native code a line costs more
    }

    @Override
    public void addElement(Tuple2<String, byte[]> event) throws IOException {
      out.write(event.f1);
      out.write('\n');
    }

    @Override
    public void flush() throws IOException {
      out.flush();
    }

    @Override
    public void finish() throws IOException {
      out.close();
    }
  }

  /** Closing the frame must leave the file open: the sink closes it. */
  static final class Unclosed extends FilterOutputStream {
    Unclosed(OutputStream file) {
      super(file);
    }

    @Override
    public void write(byte[] bytes, int start, int length) throws IOException {
      out.write(bytes, start, length);
    }

    @Override
    public void close() {}
  }
}
