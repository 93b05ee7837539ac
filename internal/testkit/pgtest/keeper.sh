# Runs a PostgreSQL server for tests and stops it when nobody has used it for half a minute.
# usage: keeper <folder> <postgres> <argument>...   Locks: see join in server.go.
base=$1
shift
"$@" </dev/null &
server=$!
trap 'kill -INT $server' TERM INT
idle=0
while kill -0 $server 2>/dev/null; do
	sleep 5
	if flock -n -x "$base/users" true; then idle=$((idle + 1)); else idle=0; fi
	[ $idle -ge 6 ] || continue
	exec 9>>"$base/lock"
	flock -x 9
	if flock -n -x "$base/users" true; then
		rm -f "$base/server.json"
		kill -INT $server
		wait $server
		exit
	fi
	exec 9>&-
	idle=0
done
