#!/usr/bin/env bash
# Ask one question through Kafka, with kcat and jq: ask.sh QUESTION CONTEXT
#
# Prints the answer event, or why the question was rejected.
# Environment variables: KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC,
# QA_DEAD_LETTERS_TOPIC.
set -euo pipefail
servers=${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}
questions=${QA_QUESTIONS_TOPIC:-qa.questions}
answers=${QA_ANSWERS_TOPIC:-qa.answers}
dead_letters=${QA_DEAD_LETTERS_TOPIC:-qa.questions.dead}
seconds=60

# The worker copies this header to the answer.
correlation_id=$(cat /proc/sys/kernel/random/uuid)
# Read from one minute ago, because the clocks of this machine and of the brokers may differ.
since=$(($(date +%s%3N) - 60000))

# Answers have the key of their question; questions with the same key keep their order.
jq -cn --arg question "$1" --arg context "$2" '{$question, $context}' |
	kcat -P -b "$servers" -t "$questions" -k example -H "correlation-id=$correlation_id"

# The record of a topic with our correlation id. The worker writes answers in transactions; without
# read_committed, a consumer may see answers of an aborted one.
outcome() {
	kcat -C -q -e -J -b "$servers" -t "$1" -o "s@$since" -X isolation.level=read_committed |
		jq -c --arg id "$correlation_id" 'select(.headers // [] | index($id))'
}

while ((SECONDS < seconds)); do
	answer=$(outcome "$answers")
	if [[ $answer ]]; then
		jq -r .payload <<<"$answer"
		exit
	fi
	dead_letter=$(outcome "$dead_letters")
	if [[ $dead_letter ]]; then
		jq -r '.headers as $h | def header(n): $h[($h | index(n)) + 1];
			"rejected: \(header("qa.reason")): \(header("__connect.errors.exception.message"))"' \
			<<<"$dead_letter" >&2
		exit 1
	fi
done
echo "no answer within $seconds s: is a worker running?" >&2
exit 1
