#!lua
-- epoch; events
return {'DONE', say(ARGV[2])}
