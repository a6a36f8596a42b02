#!lua
-- epoch; events
say(ARGV[2])
return {'DONE'}
