"""What the rewritten graphs of `lightsam_exporters.graphs` are worth.

The way of the data: `table` says what is compared; `files` makes the files (`authors` those of the authors' own code),
`inputs` what they are given; `rounds`, `memory`, `operations` and `conversion` measure, each in a process of its own;
`run` puts it together as a `record`, and `report`, `page` and `writers` show that.
"""
