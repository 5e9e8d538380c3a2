# frozen_string_literal: true

require 'json'

# The static files of public/, the built client among them; what is not there is the application's.
use Rack::Static, urls: [''], root: 'public', index: 'index.html', cascade: true

def respond(status, body)
  [status, { 'content-type' => 'application/json' }, [JSON.generate(body)]]
end

run(lambda do |env|
  case env['PATH_INFO']
  when '/health'
    respond(200, status: 'ok')
  when '/version'
    respond(200, version: File.read('VERSION').strip)
  when %r{\A/env/(\w+)\z}
    name = Regexp.last_match(1)
    ENV.key?(name) ? respond(200, name: name, value: ENV[name]) : respond(404, error: "#{name} is not set")
  else
    respond(404, error: 'not found')
  end
end)
