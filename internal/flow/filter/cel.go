package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
)

// variable is the flow's name in expressions; "flow" is that of the protobuf package.
const variable = "_flow"

// Bounds of what an expression may cost, since clients send them: its length, how deep it is (what its types cost grows faster than that),
// and steps for one flow as cel-go counts them. 10,000 of these take a millisecond.
const (
	maxExpression = 8 << 10 // bytes
	maxDepth      = 50
	maxSteps      = 10_000
)

// environment has Hubble's variable and types (cilium pkg/hubble/filters/cel_expression.go), so that an expression means here
// what it means there.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.Container("flow"), cel.Types(&flowpb.Flow{}), cel.Variable(variable, cel.ObjectType("flow.Flow")),
		cel.ParserRecursionLimit(maxDepth))
})

// conditions takes CEL expressions of type bool (https://cel.dev). One that cannot be worked out for a flow, since the flow
// has no such field, or at too high a cost, does not match it.
func conditions(values []string) (Func, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	var list []cel.Program
	for i, text := range values {
		program, err := condition(env, text)
		if err != nil {
			return nil, fmt.Errorf("cel_expression[%d]: %w", i, err)
		}
		list = append(list, program)
	}
	return func(f *flowpb.Flow) bool {
		given := map[string]any{variable: f}
		return slices.ContainsFunc(list, func(p cel.Program) bool {
			out, _, err := p.Eval(given)
			return err == nil && out.Value() == true
		})
	}, nil
}

func condition(env *cel.Env, text string) (cel.Program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("has %d bytes, and may have %d", len(text), maxExpression)
	}
	checked, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("%q is no CEL expression: %s", quoted(text), quoted(strings.TrimSpace(err.Error())))
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("%q gives %s, and must give bool", quoted(text), checked.OutputType())
	}
	if err := writtenOut(checked); err != nil {
		return nil, err
	}
	return env.Program(checked, cel.CostLimit(maxSteps), cel.EvalOptions(cel.OptOptimize)) // which reads patterns once, not for each flow
}

// writtenOut tells whether the patterns of an expression are within the bounds of regular expressions: to read one costs far more than the steps that
// cel-go counts for it. So each is written out, and none is made of what a flow says.
func writtenOut(a *cel.Ast) error {
	budget := &patternBudget{}
	var failed error
	ast.PostOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if failed != nil || e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
			return
		}
		args := e.AsCall().Args()
		pattern := args[len(args)-1]
		text, written := "", false
		if pattern.Kind() == ast.LiteralKind {
			text, written = pattern.AsLiteral().Value().(string)
		}
		if !written {
			failed = errors.New("matches: a pattern must be written out, in quotes")
			return
		}
		failed = budget.take(text)
	}))
	return failed
}
