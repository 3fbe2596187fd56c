package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/afar"
	"weftnet.io/weftnet/internal/cli/dial"
	"weftnet.io/weftnet/internal/cli/mistake"
)

// patience is how long the agent may take for one answer.
const patience = 10 * time.Second

// get reads a document of the agent.
func get(ctx context.Context, socket, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return afar.Dial(ctx, socket)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weft-agent"+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		if afar.Is(ctx) {
			return fmt.Errorf("weft-agent does not answer: %w", root(err))
		}
		return fmt.Errorf("weft-agent does not answer on %s: %w%s", socket, root(err), dial.Advice(err, ""))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read %s of weft-agent: %w", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return refusal(path, answer.StatusCode, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read %s of weft-agent: %w (is the agent of another version?)", path, err)
	}
	return nil
}

// refusal makes an error of an answer that is none: a CNI error object, or text.
func refusal(path string, status int, body []byte) error {
	var object struct{ Msg, Details string }
	if json.Unmarshal(body, &object) == nil && object.Msg != "" {
		return errors.New(strings.TrimSuffix(object.Msg+"; "+object.Details, "; "))
	}
	text := strings.TrimSpace(string(body))
	if status == http.StatusBadRequest {
		return errors.New(text)
	}
	if status == http.StatusNotFound {
		path, _, _ = strings.Cut(path, "?")
		return fmt.Errorf("weft-agent has no %s (%s)", path, text)
	}
	return fmt.Errorf("weft-agent answered %s with %d: %s", path, status, text)
}

// root is what really went wrong, without the URL, which says nothing more.
func root(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	var asked *url.Error
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", patience)
	}
	if errors.As(err, &asked) {
		return asked.Err
	}
	return err
}

// socketFlag adds --socket to a command.
func socketFlag(c *cobra.Command) *string {
	return c.Flags().String("socket", agentv1.Socket, "unix socket of the agent")
}

// outputFlag adds -o to a command whose output is text or JSON.
func outputFlag(c *cobra.Command) *string {
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c.Flags().StringP("output", "o", "text", "text, or json: the agent's document as it is")
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return mistake.New("--output %q: must be text or json", output)
	}
	return nil
}

func printJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
}
