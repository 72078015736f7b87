#!/usr/bin/env bash
# Ask one question through Kafka, with kcat and jq: ask.sh QUESTION CONTEXT
#
# Prints the answer's JSON, or what was wrong with the question.
# From the environment: KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, QA_ANSWERS_TOPIC,
# QA_DEAD_LETTERS_TOPIC.
set -euo pipefail
servers=${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}
questions=${QA_QUESTIONS_TOPIC:-qa.questions}
answers=${QA_ANSWERS_TOPIC:-qa.answers}
letters=${QA_DEAD_LETTERS_TOPIC:-qa.questions.dead}
seconds=60

# Comes back on the answer, as traceparent and some more headers do.
mark=$(cat /proc/sys/kernel/random/uuid)
# A minute early, for clocks that differ; the mark tells the answer from those before it.
since=$(($(date +%s%3N) - 60000))

# Questions with one key are answered in their order, under that key.
jq -cn --arg question "$1" --arg context "$2" '{$question, $context}' |
	kcat -P -b "$servers" -t "$questions" -k example -H "correlation-id=$mark"

# What a topic holds for the mark. Answers leave in transactions: whoever reads uncommitted may see
# one that is taken back.
outcome() {
	kcat -C -q -e -J -b "$servers" -t "$1" -o "s@$since" -X isolation.level=read_committed |
		jq -c --arg mark "$mark" 'select(.headers // [] | index($mark))'
}

while ((SECONDS < seconds)); do
	answer=$(outcome "$answers")
	if [[ $answer ]]; then
		jq -r .payload <<<"$answer"
		exit
	fi
	letter=$(outcome "$letters")
	if [[ $letter ]]; then
		jq -r '.headers as $h | def header(n): $h[($h | index(n)) + 1];
			"rejected: \(header("qa.reason")): \(header("__connect.errors.exception.message"))"' \
			<<<"$letter" >&2
		exit 1
	fi
done
echo "no answer within $seconds s: is a worker running?" >&2
exit 1
