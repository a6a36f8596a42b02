#!lua flags=allow-oom
-- epoch; now
return {'DONE', unpack(expire(ARGV[2]))}
