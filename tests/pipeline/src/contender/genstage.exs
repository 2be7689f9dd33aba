# What Mixcord once was: a producer for each shard that decodes what its websocket brings, and a consumer that asks for
# events. No cache. A program of the benchmark `pipeline`: answers one question a line, and ends with its input.
#
#   elixir genstage.exs check          is everything there?
#   elixir genstage.exs PORT SHARDS

case System.get_env("MIXCORD_BENCH_GEN_STAGE") do
  nil -> Mix.install([{:gen_stage, "~> 1.2"}])
  checkout -> Kernel.ParallelCompiler.compile(Path.wildcard(checkout <> "/lib/**/*.ex"))
end

if System.argv() == ["check"], do: System.halt(0)

defmodule Probe do
  @moduledoc "What was counted, as the other contenders' probe says it."
  @events 1
  @guilds 2
  @others 3
  @checksum 4
  @first_ns 5
  @last_ns 6

  def new, do: :persistent_term.put(__MODULE__, :counters.new(6, [:atomics]))

  def event(sum) do
    counters = :persistent_term.get(__MODULE__)
    now = :os.perf_counter(:nanosecond)
    if :counters.get(counters, @last_ns) == 0, do: :counters.put(counters, @first_ns, now)
    :counters.put(counters, @last_ns, now)
    :counters.add(counters, @events, 1)
    # Sixty bits are no bignum.
    :counters.add(counters, @checksum, Bitwise.band(sum, 0xFFFFFFFFFFFF))
  end

  def guild, do: :counters.add(:persistent_term.get(__MODULE__), @guilds, 1)
  def other, do: :counters.add(:persistent_term.get(__MODULE__), @others, 1)

  def answer("latencies") do
    none = ~s({"count":0,"p50":0.0,"p99":0.0,"p999":0.0,"max":0.0})
    ~s({"from_write":#{none},"from_due":#{none}})
  end

  def answer(question) do
    counters = :persistent_term.get(__MODULE__)

    if question == "reset" do
      for time <- [@first_ns, @last_ns], do: :counters.put(counters, time, 0)
    end

    get = fn counter -> :counters.get(counters, counter) end

    ~s({"events":#{get.(@events)},"guilds":#{get.(@guilds)},"others":#{get.(@others)},"errors":0,) <>
      ~s("checksum":#{get.(@checksum)},"first_ns":#{get.(@first_ns)},"last_ns":#{get.(@last_ns)},"pause_ns":0})
  end
end

defmodule Shard do
  @moduledoc "A shard's websocket, and the events of it that nobody asked for yet."
  use GenStage

  # Beyond that the socket is not read.
  @waiting 1_000

  def start_link(where), do: GenStage.start_link(__MODULE__, where)

  def init({port, number, shards}) do
    options = [:binary, active: false, buffer: 262_144, recbuf: 262_144]
    {:ok, socket} = :gen_tcp.connect({127, 0, 0, 1}, port, options)

    :ok =
      :gen_tcp.send(socket, [
        "GET /?v=10&encoding=etf HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
      ])

    rest = head(socket, "")
    data = %{token: "bench", intents: 0, shard: [number, shards], properties: %{}}
    payload = :erlang.term_to_binary(%{op: 2, d: data})
    # Masked with zeros.
    :ok = :gen_tcp.send(socket, <<0x82, 0x80 + 126, byte_size(payload)::16, 0::32, payload::binary>>)
    :ok = :inet.setopts(socket, active: :once)
    {:producer, %{socket: socket, rest: rest, queue: :queue.new(), size: 0, demand: 0}}
  end

  defp head(socket, got) do
    case String.split(got, "\r\n\r\n", parts: 2) do
      [_head, rest] ->
        rest

      [_] ->
        {:ok, more} = :gen_tcp.recv(socket, 0)
        head(socket, got <> more)
    end
  end

  def handle_demand(demand, state), do: give(%{state | demand: state.demand + demand}, false)

  def handle_info({:tcp, _socket, bytes}, state) do
    {state, rest} = frames(state, state.rest <> bytes)
    give(%{state | rest: rest}, true)
  end

  def handle_info({:tcp_closed, _socket}, state), do: {:stop, :normal, state}

  # `read`: the socket is quiet now, until it is asked.
  defp give(state, read) do
    {events, queue, count} = take(state.queue, min(state.demand, state.size), [])
    size = state.size - count
    was_full = not read and state.size >= @waiting
    if size < @waiting and (read or was_full), do: :inet.setopts(state.socket, active: :once)
    {:noreply, events, %{state | queue: queue, size: size, demand: state.demand - count}}
  end

  defp take(queue, count, events), do: take(queue, count, events, count)
  defp take(queue, 0, events, count), do: {Enum.reverse(events), queue, count}

  defp take(queue, left, events, count) do
    {{:value, event}, queue} = :queue.out(queue)
    take(queue, left - 1, [event | events], count)
  end

  defp frames(state, <<_, 127, size::64, payload::binary-size(size), rest::binary>>),
    do: frames(add(state, payload), rest)

  defp frames(state, <<_, 126, size::16, payload::binary-size(size), rest::binary>>),
    do: frames(add(state, payload), rest)

  defp frames(state, <<_, size, payload::binary-size(size), rest::binary>>) when size < 126,
    do: frames(add(state, payload), rest)

  defp frames(state, rest), do: {state, rest}

  defp add(state, payload) do
    case :erlang.binary_to_term(payload) do
      %{op: 0} = event -> %{state | queue: :queue.in(event, state.queue), size: state.size + 1}
      _ -> state
    end
  end
end

defmodule Handler do
  @moduledoc "Reads three fields of every event, as all contenders do."
  use GenStage

  def start_link(shards), do: GenStage.start_link(__MODULE__, shards)
  def init(shards), do: {:consumer, nil, subscribe_to: shards}

  def handle_events(events, _from, state) do
    Enum.each(events, &handle/1)
    {:noreply, [], state}
  end

  defp handle(%{t: :GUILD_CREATE}), do: Probe.guild()

  defp handle(%{t: t, d: d}) when t in [:MESSAGE_CREATE, :MESSAGE_UPDATE],
    do: Probe.event(Bitwise.bxor(Bitwise.bxor(d.id, d.author.id), byte_size(d.content)))

  defp handle(%{t: :PRESENCE_UPDATE, d: d}),
    do: Probe.event(Bitwise.bxor(Bitwise.bxor(d.guild_id, d.user.id), length(d.activities)))

  defp handle(%{t: :GUILD_MEMBER_UPDATE, d: d}),
    do: Probe.event(Bitwise.bxor(Bitwise.bxor(d.guild_id, d.user.id), byte_size(d.nick || "")))

  defp handle(%{t: t, d: d}) when t in [:TYPING_START, :VOICE_STATE_UPDATE],
    do: Probe.event(Bitwise.bxor(Bitwise.bxor(d.guild_id, d.user_id), channel(d)))

  defp handle(_), do: Probe.other()

  defp channel(%{channel_id: channel}) when is_integer(channel), do: channel
  defp channel(_), do: 0
end

[port, shards] = Enum.map(System.argv(), &String.to_integer/1)
Probe.new()

producers =
  for number <- 0..(shards - 1) do
    {:ok, shard} = Shard.start_link({port, number, shards})
    {shard, max_demand: 1_000}
  end

{:ok, _handler} = Handler.start_link(producers)

for line <- IO.stream(:stdio, :line), do: IO.puts(Probe.answer(String.trim(line)))
System.halt(0)
