package filter

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/google/cel-go/cel"
)

// variable is the flow's name in expressions; "flow" is that of the protobuf package.
const variable = "_flow"

// Bounds of what an expression may cost, since clients send them: its length, and steps for one flow as cel-go counts them.
const (
	maxExpression = 8 << 10 // bytes
	maxSteps      = 100_000
)

// environment has Hubble's variable and types (cilium pkg/hubble/filters/cel_expression.go), so that an expression means here
// what it means there.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.Container("flow"), cel.Types(&flowpb.Flow{}), cel.Variable(variable, cel.ObjectType("flow.Flow")))
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
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("%q is no CEL expression: %s", text, strings.TrimSpace(err.Error()))
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("%q gives %s, and must give bool", text, ast.OutputType())
	}
	return env.Program(ast, cel.CostLimit(maxSteps))
}
