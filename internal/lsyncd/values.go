package lsyncd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

const (
	// maxSize is the largest file that is read.
	maxSize = 1 << 20
	// maxDepth bounds how deep values may be nested, maxText how long one may be.
	maxDepth = 100
	maxText  = 1 << 16
)

// value is a string, a float64, a bool, nil, a *table or a mode.
type value any

// mode is default.rsync and the like, by its last name.
type mode string

// table is a table that is written out.
type table struct {
	line   int
	list   []value
	fields []field
}

// field is one named entry.
type field struct {
	key  string
	val  value
	line int
}

// get is the last value given to key.
func (t *table) get(key string) (value, int, bool) {
	for i := len(t.fields) - 1; i >= 0; i-- {
		if t.fields[i].key == key {
			return t.fields[i].val, t.fields[i].line, true
		}
	}
	return nil, t.line, false
}

// call is settings{} or sync{}.
type call struct {
	name string
	arg  *table
	line int
}

// codeError is something of the file that would have to be executed.
type codeError struct {
	line int
	what string
}

func (e *codeError) Error() string {
	return fmt.Sprintf("%d: %s is code, and only values can be imported: write out what it gives, or write the TOML by hand", e.line, e.what)
}

// reader evaluates what needs no execution.
type reader struct {
	known map[string]value
	calls []call
}

// read gives the calls of a file. name stands for it in errors.
func read(name string, data []byte) ([]call, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s: it is larger than %d bytes, too large for a configuration", name, maxSize)
	}
	chunk, err := parse.Parse(bytes.NewReader(data), name)
	var syntax *parse.Error
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%s:%d:%d: %s near %q", name, max(syntax.Pos.Line, 1), max(syntax.Pos.Column, 1), syntax.Message, syntax.Token)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &reader{known: map[string]value{}}
	for _, s := range chunk {
		if err := r.statement(s); err != nil {
			return nil, fmt.Errorf("%s:%w", name, err)
		}
	}
	return r.calls, nil
}

func (r *reader) statement(s ast.Stmt) error {
	switch s := s.(type) {
	case *ast.LocalAssignStmt:
		for i, name := range s.Names {
			if err := r.assign(name, i, s.Exprs, s.Line()); err != nil {
				return err
			}
		}
		return nil
	case *ast.AssignStmt:
		for i, lhs := range s.Lhs {
			name, ok := lhs.(*ast.IdentExpr)
			if !ok {
				return &codeError{s.Line(), "an assignment into a table"}
			}
			if err := r.assign(name.Value, i, s.Rhs, s.Line()); err != nil {
				return err
			}
		}
		return nil
	case *ast.FuncCallStmt:
		return r.call(s)
	}
	names := map[string]string{
		"*ast.IfStmt": "an if", "*ast.NumberForStmt": "a for loop", "*ast.GenericForStmt": "a for loop", "*ast.WhileStmt": "a while loop",
		"*ast.RepeatStmt": "a repeat loop", "*ast.FuncDefStmt": "a function", "*ast.ReturnStmt": "a return", "*ast.DoBlockStmt": "a block",
	}
	what := names[fmt.Sprintf("%T", s)]
	if what == "" {
		what = "this statement"
	}
	return &codeError{s.Line(), what}
}

// assign remembers a name's value; settings = {…} is the old form of the call.
func (r *reader) assign(name string, i int, exprs []ast.Expr, line int) error {
	var v value
	if i < len(exprs) {
		var err error
		if v, err = r.value(exprs[i], 0); err != nil {
			return err
		}
	}
	if t, ok := v.(*table); ok && name == "settings" {
		r.calls = append(r.calls, call{name, t, line})
	}
	r.known[name] = v
	return nil
}

func (r *reader) call(s *ast.FuncCallStmt) error {
	e, ok := s.Expr.(*ast.FuncCallExpr)
	if !ok {
		return &codeError{s.Line(), "this statement"}
	}
	name, ok := e.Func.(*ast.IdentExpr)
	if !ok || name.Value != "sync" && name.Value != "settings" {
		return &codeError{s.Line(), "a call of anything but settings and sync"}
	}
	if len(e.Args) != 1 {
		return fmt.Errorf("%d: %s takes one table: %s{ … }", s.Line(), name.Value, name.Value)
	}
	v, err := r.value(e.Args[0], 0)
	if err != nil {
		return err
	}
	t, ok := v.(*table)
	if !ok {
		return fmt.Errorf("%d: %s takes a table: %s{ … }", s.Line(), name.Value, name.Value)
	}
	r.calls = append(r.calls, call{name.Value, t, s.Line()})
	return nil
}

// value evaluates an expression that needs no execution.
func (r *reader) value(e ast.Expr, depth int) (value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%d: values are nested more than %d deep", e.Line(), maxDepth)
	}
	switch e := e.(type) {
	case *ast.StringExpr:
		return e.Value, nil
	case *ast.NumberExpr:
		n, err := strconv.ParseFloat(e.Value, 64)
		if err != nil {
			whole, err := strconv.ParseInt(e.Value, 0, 64)
			if err != nil {
				return nil, fmt.Errorf("%d: %q is no number", e.Line(), e.Value)
			}
			n = float64(whole)
		}
		return n, nil
	case *ast.TrueExpr:
		return true, nil
	case *ast.FalseExpr:
		return false, nil
	case *ast.NilExpr:
		return nil, nil
	case *ast.UnaryMinusOpExpr:
		v, err := r.value(e.Expr, depth+1)
		if n, ok := v.(float64); ok {
			return -n, err
		}
		return nil, errors.Join(err, &codeError{e.Line(), "a calculation"})
	case *ast.IdentExpr:
		v, ok := r.known[e.Value]
		if !ok {
			return nil, &codeError{e.Line(), fmt.Sprintf("%q, which has no value here,", e.Value)}
		}
		return v, nil
	case *ast.AttrGetExpr:
		return r.attribute(e)
	case *ast.StringConcatOpExpr:
		return r.concat(e, depth)
	case *ast.TableExpr:
		return r.table(e, depth)
	case *ast.FunctionExpr:
		return nil, &codeError{e.Line(), "a function"}
	case *ast.FuncCallExpr:
		return nil, &codeError{e.Line(), "a call"}
	}
	return nil, &codeError{e.Line(), "a calculation"}
}

// attribute is default.rsync and its like.
func (r *reader) attribute(e *ast.AttrGetExpr) (value, error) {
	object, ok1 := e.Object.(*ast.IdentExpr)
	key, ok2 := e.Key.(*ast.StringExpr)
	if !ok1 || !ok2 || object.Value != "default" {
		return nil, &codeError{e.Line(), "a look into a table"}
	}
	return mode(key.Value), nil
}

func (r *reader) concat(e *ast.StringConcatOpExpr, depth int) (value, error) {
	var b strings.Builder
	for _, part := range []ast.Expr{e.Lhs, e.Rhs} {
		v, err := r.value(part, depth+1)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case float64:
			b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		default:
			return nil, fmt.Errorf("%d: only strings and numbers can be joined to a text", e.Line())
		}
	}
	if b.Len() > maxText {
		return nil, fmt.Errorf("%d: the text is longer than %d bytes", e.Line(), maxText)
	}
	return b.String(), nil
}

func (r *reader) table(e *ast.TableExpr, depth int) (value, error) {
	t := &table{line: e.Line()}
	for _, f := range e.Fields {
		v, err := r.value(f.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if f.Key == nil {
			t.list = append(t.list, v)
			continue
		}
		key, err := r.value(f.Key, depth+1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("%d: only names can be keys here", f.Value.Line())
		}
		t.fields = append(t.fields, field{name, v, f.Value.Line()})
	}
	return t, nil
}
