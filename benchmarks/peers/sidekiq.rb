# Sidekiq: two processes of 10 threads (its default) for no-op jobs, of 50 for jobs that wait.
#
#     ruby benchmarks/peers/sidekiq.rb          serves the protocol of protocol.py
#     sidekiq -r ./benchmarks/peers/sidekiq.rb  runs its jobs
#
# It keeps no results. Many jobs at once: perform_bulk, in batches of 1,000 (its default).
# https://github.com/sidekiq/sidekiq/wiki/Best-Practices, https://sidekiq.org/wiki/Bulk-Queueing

require "json"
require "sidekiq"

WAIT_SECONDS = ENV["BENCH_WAITS"] == "1" ? 0.02 : 0
TALLY = ENV["BENCH_TALLY"]

Sidekiq.configure_client { |config| config.redis = { url: ENV["BENCH_URL"], size: 1 } }
Sidekiq.configure_server { |config| config.redis = { url: ENV["BENCH_URL"] } }
Sidekiq.logger.level = Logger::WARN

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
end

class BenchJob
  include Sidekiq::Worker

  FILE = TALLY && File.open(TALLY, File::WRONLY | File::APPEND | File::CREAT)

  def perform(number)
    sleep(WAIT_SECONDS) if WAIT_SECONDS > 0
    FILE.syswrite([number, now, Process.pid].pack("q<3"))
  end
end

def timed
  began = now
  cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
  yield
  { seconds: (now - began) / 1e9, cpu: Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - cpu }
end

def command(threads)
  ["sidekiq", "-r", "./benchmarks/peers/sidekiq.rb", "-c", threads.to_s, "-q", "default"]
end

def describe
  {
    source: "https://github.com/sidekiq/sidekiq/wiki/Best-Practices, " \
            "https://sidekiq.org/wiki/Bulk-Queueing",
    settings: "perform_async, perform_bulk in batches of 1,000; it stores no results",
    versions: { sidekiq: Sidekiq::VERSION, redis: Redis::VERSION, ruby: RUBY_VERSION },
    workers: { noop: [command(10)] * 2, io: [command(50)] * 2 },
    has_bulk: true
  }
end

def paced(first, count, seed)
  chance = Random.new(seed)
  sent = (first...(first + count)).map do |number|
    size = File.size(TALLY)
    sleep(chance.rand(0.005..0.015))
    at = now
    BenchJob.perform_async(number)
    sleep(0.0005) while File.size(TALLY) < size + 24
    at
  end
  { sent: sent }
end

def answer(asked)
  numbers = (asked["first"]...(asked["first"] + asked["count"])) if asked["first"]
  case asked["do"]
  when "describe" then describe
  when "one" then timed { numbers.each { |number| BenchJob.perform_async(number) } }
  when "bulk" then timed { BenchJob.perform_bulk(numbers.map { |number| [number] }) }
  when "paced" then paced(asked["first"], asked["count"], asked["seed"])
  end
end

if $PROGRAM_NAME == __FILE__
  $stdin.each_line do |line|
    puts JSON.generate(answer(JSON.parse(line)))
    $stdout.flush
  end
end
