package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/resource"
)

// addConditions appends " and column op @argument" for each condition of the query and for its cursor, then order and limit, and
// fills args. Only the columns it is given and the operators of the listing package reach the SQL text; every value is an argument.
func addConditions(sql *strings.Builder, args pgx.StrictNamedArgs, columns []string, q resource.Query) error {
	for i, c := range q.Where {
		if !slices.Contains(columns, c.Field) {
			return fmt.Errorf("no condition on %q: it is not a listed column", c.Field)
		}
		switch c.Op {
		case resource.Equal, resource.NotEqual, resource.Less, resource.LessEqual, resource.Greater, resource.GreaterEqual:
		default:
			return fmt.Errorf("no such comparison: %q", c.Op)
		}
		name := "value" + strconv.Itoa(i)
		fmt.Fprintf(sql, " and %s %s @%s", c.Field, c.Op, name)
		args[name] = c.Value
	}
	if q.After != nil {
		sql.WriteString(" and (create_time, id) > (@after_time, @after_id)")
		args["after_time"], args["after_id"] = q.After.CreateTime, q.After.ID
	}
	sql.WriteString(" order by create_time, id limit @row_limit")
	args["row_limit"] = q.Limit
	return nil
}
