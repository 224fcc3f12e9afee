"""What samples/shell needs of kcat, where it is not installed: -P writes the lines of stdin, -C prints all values, as kcat does."""

import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition


def main():
    flags = dict(zip(sys.argv, sys.argv[1:], strict=False))
    options = dict([flags["-X"].split("=")]) | {"bootstrap.servers": flags["-b"]}
    if "-P" in sys.argv:
        producer = Producer(options)
        for line in sys.stdin:
            key, _, value = line.rstrip("\n").partition("\t")
            producer.produce(flags["-t"], value, key=key)
        return producer.flush(30)
    consumer = Consumer(options | {"group.id": "kcat", "enable.auto.commit": False, "enable.partition.eof": True})
    left = set(consumer.list_topics(flags["-t"], 30).topics[flags["-t"]].partitions)
    consumer.assign([TopicPartition(flags["-t"], partition, 0) for partition in left])
    while left:
        message = consumer.poll(30)
        if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
        else:
            print(message.value().decode(), flush=True)
    consumer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
