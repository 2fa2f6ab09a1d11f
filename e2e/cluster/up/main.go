//go:build linux

// Command up starts a cluster on this machine, streams an answer through each of
// its nodes, and then leaves it running until it is interrupted.
//
//	go run ./e2e/cluster/up [-once] RUNNEL NATS-SERVER
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/client"
	"github.com/runnelhq/runnel/e2e/cluster"
)

const startTimeout = time.Minute

func main() {
	once := flag.Bool("once", false, "end when every node has streamed")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: up [-once] RUNNEL NATS-SERVER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *once, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, once bool, gateway, nats string) (err error) {
	dir, err := os.MkdirTemp("", "runnel-cluster")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := cluster.Options{Runnel: gateway, NATS: nats, Dir: dir}
	for i := range o.Nodes {
		o.Nodes[i] = []string{"--model", "echo"}
	}
	fmt.Println("Starting three NATS servers and three Runnel nodes …")
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c, err := cluster.New(starting, o)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, p := range c.Processes() {
		if i < len(c.NATS) {
			fmt.Printf("  %-8s %s\n", p.Name, c.Servers[i])
		} else {
			fmt.Printf("  %-8s %s\n", p.Name, c.URLs[i-len(c.NATS)])
		}
	}
	for i := range c.URLs {
		// Asked at one node, read at the next.
		if err := ask(ctx, c.URLs[i], c.URLs[(i+1)%len(c.URLs)]); err != nil {
			return err
		}
	}
	if once {
		return nil
	}
	fmt.Printf("\nThe chat page is at each of them. Or:\n  runnel chat --server %s\n  runnel tail demo --server %s\nCtrl-C ends the cluster, and nothing of it stays.\n", c.URLs[0], c.URLs[1])
	<-ctx.Done()
	return nil
}

// ask has one node accept a prompt and another one show its answer.
func ask(ctx context.Context, at, from string) error {
	begin := time.Now()
	writer, err := client.New(at)
	if err != nil {
		return err
	}
	reader, err := client.New(from)
	if err != nil {
		return err
	}
	receipt, err := writer.Submit(ctx, "demo", client.Prompt{Text: "Hello from " + strings.TrimPrefix(at, "http://")})
	if err != nil {
		return err
	}
	var answer client.Answer
	tokens := 0
	for ev, err := range reader.Follow(ctx, receipt) {
		if err != nil {
			return err
		}
		if answer.Apply(ev); ev.Type == runnel.EventDelta {
			tokens++
		}
	}
	if answer.State != runnel.Done {
		return fmt.Errorf("asked at %s, read at %s: %s, %+v", at, from, answer.State, answer.Failure)
	}
	line, _, _ := strings.Cut(answer.Text(), "\n")
	fmt.Printf("Asked at %s, read at %s: %d events in %v: %s …\n", at, from, tokens, time.Since(begin).Round(time.Millisecond), line)
	return nil
}
