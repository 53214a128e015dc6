#!/bin/sh
# Starts the broker on the properties file given.
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xms256m -Xmx768m}"
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
