package platform

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

// explain adds what a process said of its end since we began, and where the rest is.
func (p *Platform) explain(process string, err error) error {
	if process == "" {
		return err
	}
	path := p.opts.Dir.Log(process)
	if text := reason(supervise.Tail(path, p.logged[filepath.Base(path)])); text != "" {
		return fmt.Errorf("%w: %.600s (log: %s)", err, text, path)
	}
	return fmt.Errorf("%w (log: %s)", err, path)
}

// logSizes notes how long each log is, by the name of its file: what stands there already was said
// by an earlier platform.
func logSizes(folder string) map[string]int64 {
	sizes := map[string]int64{}
	files, _ := os.ReadDir(folder) // none before the first start
	for _, file := range files {
		if info, err := file.Info(); err == nil {
			sizes[file.Name()] = info.Size()
		}
	}
	return sizes
}

// reason is what the lines of a log say of a process's end: the last one that accuses, with the
// indented ones that belong to it. What a process says last is often how it tidied up. Without an
// accusation it is the last line.
func reason(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	if unicode.IsLetter(rune(last[0])) {
		return last // the sentence that our own programs end with; logs begin with a time or a brace
	}
	for i, line := range slices.Backward(lines) {
		if text := accuses(line); text != "" {
			for _, more := range lines[i+1:] {
				if !strings.HasPrefix(more, "\t") && !strings.HasPrefix(more, "  ") {
					break
				}
				text += " " + strings.TrimSpace(more)
			}
			return text
		}
	}
	return strings.TrimSpace(last)
}

// accusation is how the programs that are not ours, and Go's runtime, begin a line that says why
// they end: PostgreSQL, Consul, Envoy.
var accusation = regexp.MustCompile(`^\S+ \S+ \S+ \[\d+\] (?:FATAL|PANIC): |^\S+ \[ERROR\] |^==> .*(?i:error|fail|cannot)|^\[[^]]*\]\[\d+\]\[(?:critical|error)\]|^panic: |^fatal error: `)

// accuses returns what a line says when it tells of a failure, and "" otherwise. Our own programs
// log JSON.
func accuses(line string) string {
	if accusation.MatchString(line) {
		return line
	}
	var entry struct {
		Level, Msg, Error string
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Level != "ERROR" && (entry.Level != "WARN" || entry.Error == "") {
		return ""
	}
	return strings.TrimSuffix(entry.Msg+": "+entry.Error, ": ")
}
